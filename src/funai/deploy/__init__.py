"""The control plane: what is to be done, by whom, where, and what became of it. The owner of truth."""
