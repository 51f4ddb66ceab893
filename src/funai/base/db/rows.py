"""Rows of a statement as values or as dictionaries by column name; ids after rows that came with their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Executable, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

Row = dict[str, Any]
T = TypeVar("T")


async def rows_as(make: Callable[..., T], conn: AsyncConnection, statement: Executable) -> list[T]:
    """The rows as values. ``make`` takes the statement's columns by their names: a dataclass, or a function."""
    return [make(**row) for row in await all_rows(conn, statement)]


async def first_as(make: Callable[..., T], conn: AsyncConnection, statement: Executable) -> T | None:
    row = await first_row(conn, statement)
    return make(**row) if row is not None else None


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
