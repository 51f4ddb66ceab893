"""The edge: one public entry before several nodes' gateways."""
