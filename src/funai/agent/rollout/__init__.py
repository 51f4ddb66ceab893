"""Rolling out a new generation: health check, switch, drain."""
