"""FunAI Deploy: a self-hosted deployer, from a click to a running web app."""

__version__ = "0.1.0"
