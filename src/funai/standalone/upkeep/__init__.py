"""What an installation needs over the years: backup, upgrade, a unit."""
