"""Names of apps' own: whose they are, and how far each has come."""
