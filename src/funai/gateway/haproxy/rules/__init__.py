"""Parts of the HAProxy configuration as text, each a pure function of values."""
