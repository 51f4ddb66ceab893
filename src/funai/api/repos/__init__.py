"""Git repositories: who may read and write them."""
