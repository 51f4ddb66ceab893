"""PostgreSQL: its driver, and the programs that dump and restore."""
