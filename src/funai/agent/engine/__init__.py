"""The container engine: one contract, the Docker Engine API (Docker, Podman) and a steerable dummy behind it."""
