"""The person's folder: its files, its link to an app, its login."""
