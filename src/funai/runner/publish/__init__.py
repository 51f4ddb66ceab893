"""Pushing an image and handing it to the agent."""
