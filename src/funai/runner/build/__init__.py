"""Image builds: the plan, base images, the engine's process and its limits."""
