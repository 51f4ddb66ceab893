"""Periodic jobs of the queue."""
