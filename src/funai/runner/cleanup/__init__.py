"""Disk space: stale folders, caches and images."""
