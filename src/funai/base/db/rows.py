"""Rows of a statement as dictionaries by column name; ids after rows that came with their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Executable, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

Row = dict[str, Any]


async def all_rows(conn: AsyncConnection, statement: Executable, parameters: Mapping[str, Any] | None = None) -> list[Row]:
    return [dict(row) for row in (await conn.execute(statement, parameters)).mappings()]


async def first_row(conn: AsyncConnection, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Row | None:
    row = (await conn.execute(statement, parameters)).mappings().first()
    return dict(row) if row is not None else None


async def one_row(conn: AsyncConnection, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Row:
    """The only row. Raises SQLAlchemy's NoResultFound, MultipleResultsFound."""
    return dict((await conn.execute(statement, parameters)).mappings().one())


async def continue_ids(conn: AsyncConnection, table: Table) -> None:
    """The next id that the database gives is larger than those in the table. PostgreSQL doesn't see to it by itself."""
    if conn.dialect.name == "postgresql":
        await conn.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "id"), func.max(table.c.id))))
