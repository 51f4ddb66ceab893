"""App networks and the firewall."""
