"""One file a verb (or a noun with a few verbs). Each has ``register(app)``, and imports nothing heavy at the top."""
