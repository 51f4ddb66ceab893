"""The driver that runs apps as containers of one engine."""
