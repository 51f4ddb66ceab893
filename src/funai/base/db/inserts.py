"""Inserting a row unless it is there, or changing the one that is, in each of the databases."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

DUPLICATE_KEY = 1062
"""MySQL's error."""


async def insert_new(conn: AsyncConnection, table: Table, values: dict[str, Any]) -> bool:
    """Insert unless a row with that key is there; waits for a transaction that is inserting it.

    On MySQL not by INSERT IGNORE, which makes values that don't fit into some that do and says nothing.
    """
    try:
        return (await conn.execute(if_new(conn.dialect.name, table, values))).rowcount == 1
    except IntegrityError as e:
        if conn.dialect.name in ("mysql", "mariadb") and e.orig is not None and e.orig.args[:1] == (DUPLICATE_KEY,):
            return False  # the statement alone is undone, not its transaction
        raise


def if_new(dialect: str, table: Table, values: dict[str, Any], *, ignore: bool = False) -> Any:
    """The statement; on MySQL it fails where the row is there, unless it may ``ignore`` that and every value that is bad."""
    match dialect:
        case "postgresql":
            return postgresql.insert(table).values(values).on_conflict_do_nothing()
        case "sqlite":
            return sqlite.insert(table).values(values).on_conflict_do_nothing()
        case _:
            new = insert(table).values(values)
            return new.prefix_with("IGNORE") if ignore else new


def upsert(dialect: str, table: Table, values: dict[str, Any], again: dict[str, Any]) -> Any:
    """The statement that inserts ``values``, or sets ``again`` in the row that has their key."""
    key = [column.name for column in table.primary_key]
    match dialect:
        case "postgresql":
            return postgresql.insert(table).values(values).on_conflict_do_update(index_elements=key, set_=again)
        case "sqlite":
            return sqlite.insert(table).values(values).on_conflict_do_update(index_elements=key, set_=again)
        case _:
            return mysql.insert(table).values(values).on_duplicate_key_update(**again)
