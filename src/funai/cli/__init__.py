"""``funai`` for people: one file a verb, over the API. Light at import; a verb loads what is heavy."""
