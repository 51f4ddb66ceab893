"""The one client of image registries: ``http`` (logins, fences, limits), ``distribution`` and ``harbor`` speak over it."""
