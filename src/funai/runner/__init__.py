"""EXECUTION PLANE, owner of images: claim → source → build → push → hand to the agent → report."""
