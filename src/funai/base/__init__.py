"""Plumbing without domain: settings, database, HTTP, processes, logging. Knows ``contracts`` and no room."""
