"""Reconciling containers and routes with the state encoded in container names."""
