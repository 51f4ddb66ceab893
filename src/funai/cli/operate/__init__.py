"""Verbs for operators that speak to other programs than the platform."""
