"""Who may call: the credentials of runners and nodes."""
