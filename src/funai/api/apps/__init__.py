"""The app registry: apps, their variables, their running slots."""
