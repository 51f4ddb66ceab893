"""Reading and writing Dockerfiles as pure functions of text."""
