"""One machine: everything composed into one process (`funai up`, `funai demo`). Nothing else belongs here."""
