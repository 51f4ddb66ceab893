"""Pulling and removing images."""
