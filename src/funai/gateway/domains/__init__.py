"""Names of apps' own: looked up, certified by an ACME authority, and routed."""
