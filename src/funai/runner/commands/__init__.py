"""Command lines as plain values: built here, executed elsewhere, tested as values."""
