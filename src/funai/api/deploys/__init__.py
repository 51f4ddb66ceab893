"""Deploys: from a request to a job at Deploy, and what became of it."""
