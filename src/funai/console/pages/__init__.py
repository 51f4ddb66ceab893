"""The pages, one noun a file: each asks the API, and renders a template or redirects."""
