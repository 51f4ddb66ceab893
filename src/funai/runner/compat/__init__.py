"""What older peers of the Runner need, a module a peer. Nowhere else does the Runner ask how old its peer is."""
