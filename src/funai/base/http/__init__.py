"""What every HTTP service shares: the app, its errors, its auth guards."""
