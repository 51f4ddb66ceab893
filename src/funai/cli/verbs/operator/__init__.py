"""Verbs for whoever runs the platform."""
