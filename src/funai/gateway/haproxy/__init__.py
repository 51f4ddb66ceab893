"""The embedded gateway: HAProxy, its configuration, its map and its process."""
