"""Typed HTTP clients in the contract's terms. Rooms meet through these and nothing else."""
