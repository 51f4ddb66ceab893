"""The image registry as retention needs it: what a repository holds, and taking manifests away by digest."""
