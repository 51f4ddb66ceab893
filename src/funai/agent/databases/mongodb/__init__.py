"""MongoDB: its driver, its dumps, and the explorer's calls."""
