"""Names of apps' own, for their owners."""
