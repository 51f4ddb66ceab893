"""What the edge follows: which node serves which app, and under which names."""
