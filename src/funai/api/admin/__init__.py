"""An operator's calls."""
