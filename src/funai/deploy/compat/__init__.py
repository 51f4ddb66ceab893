"""What older peers of Deploy need, a module a peer. Nowhere else does Deploy ask how old its peer is."""
