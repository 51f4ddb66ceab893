"""Build logs and container output as streams."""
