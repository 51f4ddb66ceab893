"""Users, their logins, API keys and SSH keys."""
