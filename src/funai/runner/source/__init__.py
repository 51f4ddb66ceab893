"""Source code: mirrors, checkouts, why a fetch failed."""
