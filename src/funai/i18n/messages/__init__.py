"""The catalogue of messages, a file a subject. Pure."""
