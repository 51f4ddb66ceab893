"""Calls about one app that are not a deploy: stop, start, look, take away."""
