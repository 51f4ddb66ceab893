"""The calls of the API, one noun a file: they check who asks, and hand on."""
