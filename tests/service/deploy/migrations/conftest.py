"""What migrations are tried on is a database without tables."""

from __future__ import annotations

from tests.parts.fixtures import database_url, sqlite_url

__all__ = ["database_url", "sqlite_url"]
