"""Measurements, each one module with one JSON line last. They print; the floors beside the figures come from the same run."""
