"""Child processes, daemons, ports."""
