"""What older peers of the API need, a module a peer. Nowhere else does the API ask how old its peer is."""
