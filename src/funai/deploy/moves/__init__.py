"""Moves of running apps between nodes: one by one, off a node that is emptied, off a node that is silent."""
