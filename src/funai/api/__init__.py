"""The API for people and platforms (port 8080): accounts, apps, ownership, quotas, deploy calls, log streams."""
