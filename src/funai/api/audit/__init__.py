"""Who did what: sign-ins, keys, variables, deletions, and what operators do."""
