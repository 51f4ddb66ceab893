"""The Traefik drivers."""
