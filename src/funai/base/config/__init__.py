"""Typed settings, and the platform's key file."""
