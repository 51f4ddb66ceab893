"""What older peers of the agent need, a module a peer. Nowhere else does the agent ask how old its peer is."""
