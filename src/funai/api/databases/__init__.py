"""Apps' databases, for their owners: handed on to Deploy once the app is known to be the caller's."""
