"""``funai.toml``: what an operator of one machine may set, where a value came from, and what no program reads."""
