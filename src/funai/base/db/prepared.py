"""Statements that are compiled once and run straight on the driver, inside SQLAlchemy's connection and transaction.

For the handful of statements that every job, claim and heartbeat runs: of a statement's time on SQLite four fifths, and
on PostgreSQL a third, were SQLAlchemy's way to the driver and back (docs/decisions/queue-measured.md). They are written
in SQLAlchemy Core like all others, so one text serves every dialect. Values go to the driver as they are: only for
columns of integers and text. What every other statement needs (types, expanding lists, defaults) stays with
``conn.execute``.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler

from funai.base.db.mysql import QuietMySQL
from funai.base.db.sqlite_inline import InlineConnection

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ran:
    """What a statement came to: its rows by column name, how many it changed, and the id it made (only MySQL's tells)."""

    rows: list[Row]
    rowcount: int
    made_id: int | None = None

    def first(self) -> Row | None:
        return self.rows[0] if self.rows else None

    def one(self) -> Row:
        """The only row; raises LookupError when there is none."""
        if not self.rows:
            raise LookupError("the statement found no row")
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class _Text:
    """A statement as one dialect's driver takes it. ``order``: the names of positional parameters, None for named ones."""

    sql: str
    order: list[str] | None
    given: dict[str, Any]
    """Values that stand in the statement itself."""

    def args(self, parameters: Mapping[str, Any] | None) -> Any:
        """As the driver takes them. Raises KeyError for a missing one."""
        values = self.given if parameters is None else {**self.given, **parameters}
        return values if self.order is None else tuple([values[name] for name in self.order])


@dataclass
class Prepared:
    """A Core statement with ``bindparam``s, made once and called often."""

    statement: ClauseElement
    _texts: dict[str, _Text] = field(default_factory=dict[str, _Text])

    async def __call__(self, conn: AsyncConnection, parameters: Mapping[str, Any] | None = None) -> Ran:
        """Run it in the connection's transaction. Raises what ``conn.execute`` raises; KeyError for a missing parameter."""
        text = self._texts.get(conn.dialect.name) or self._compile(conn.dialect)
        args = text.args(parameters)
        sync = conn.sync_connection
        assert sync is not None, "the connection is open"
        dbapi = sync.connection.dbapi_connection
        if isinstance(dbapi, InlineConnection):
            return _on_sqlite(sync, dbapi, text.sql, args)
        if isinstance(conn.dialect, QuietMySQL):
            return await _on_mysql(conn, sync, text.sql, args)
        return await conn.run_sync(_on_driver, text.sql, args)

    async def many(self, conn: AsyncConnection, parameters: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each of ``parameters``, in as few round trips as the driver can; rows aren't answered."""
        text = self._texts.get(conn.dialect.name) or self._compile(conn.dialect)
        await conn.run_sync(_many_on_driver, text.sql, [text.args(given) for given in parameters])

    def _compile(self, dialect: Dialect) -> _Text:
        compiled = self.statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)
        given = {name: b.effective_value for b, name in compiled.bind_names.items() if not b.required}
        order = list(compiled.positiontup or ()) if compiled.positional else None
        return self._texts.setdefault(dialect.name, _Text(compiled.string, order, given))


def _by_name(description: Sequence[Any] | None, rows: Iterable[Sequence[Any]]) -> list[Row]:
    names = [c[0] for c in description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _on_sqlite(conn: Connection, dbapi: InlineConnection, sql: str, args: Any) -> Ran:
    """Where the caller stands: it holds the write lock or reads a snapshot, so there is nothing to wait for."""
    cursor = sqlite3.Cursor(dbapi)
    try:
        cursor.execute(sql, args)
        rows = cursor.fetchall()
    except sqlite3.Error as e:
        raise _wrapped(conn, sql, args, e) from e
    return Ran(_by_name(cursor.description, rows), cursor.rowcount)


def begin(conn: Connection, *, write: bool) -> None:
    """SQLite's BEGIN; for a writer IMMEDIATE, waiting for its turn among processes."""
    sql, dbapi = "BEGIN IMMEDIATE" if write else "BEGIN", conn.connection.dbapi_connection
    assert isinstance(dbapi, InlineConnection)
    try:
        dbapi.cursor().execute(sql)
    except sqlite3.Error as e:
        raise _wrapped(conn, sql, (), e) from e


async def _on_mysql(conn: AsyncConnection, sync: Connection, sql: str, args: Any) -> Ran:
    """asyncmy itself: nothing on this way needs a greenlet, and its connection has no transaction of SQLAlchemy's to begin."""
    raw: Any = sync.connection.driver_connection
    cursor = raw.cursor()
    try:
        await cursor.execute(sql, args)
        rows = await cursor.fetchall() if cursor.description else ()
        return Ran(_by_name(cursor.description, rows), cursor.rowcount, cursor.lastrowid)
    except asyncio.CancelledError as e:
        await conn.invalidate(e)  # asyncmy has closed it; a ROLLBACK there would fail, and that would hide the cancellation
        raise
    except AttributeError as e:  # its socket went away in mid-statement
        await conn.invalidate(e)
        gone = _dbapi(sync).OperationalError("the connection was lost")
        raise _wrapped(sync, sql, args, gone, lost=True) from e
    except _dbapi(sync).Error as e:
        if sync.dialect.is_disconnect(e, sync.connection.dbapi_connection, None):
            await conn.invalidate(e)
            raise _wrapped(sync, sql, args, e, lost=True) from e
        raise _wrapped(sync, sql, args, e) from e


def _on_driver(conn: Connection, sql: str, args: Any) -> Ran:
    """In the greenlet of an async driver, through SQLAlchemy's own adapter of its connection."""
    with _cursor(conn, sql, args) as cursor:
        cursor.execute(sql, args)
        rows = cursor.fetchall() if cursor.description else ()
        return Ran(_by_name(cursor.description, rows), cursor.rowcount, getattr(cursor, "lastrowid", None))


def _many_on_driver(conn: Connection, sql: str, rows: list[Any]) -> None:
    with _cursor(conn, sql, rows) as cursor:
        cursor.executemany(sql, rows)


@contextmanager
def _cursor(conn: Connection, sql: str, args: Any) -> Generator[DBAPICursor, None, None]:
    dbapi = conn.connection.dbapi_connection
    assert dbapi is not None
    cursor: DBAPICursor = dbapi.cursor()
    try:
        yield cursor
    except asyncio.CancelledError as e:
        if isinstance(conn.dialect, QuietMySQL):
            conn.invalidate(e)  # as in _on_mysql
        raise
    except _dbapi(conn).Error as e:
        if conn.dialect.is_disconnect(e, dbapi, cursor):
            conn.invalidate(e)
            raise _wrapped(conn, sql, args, e, lost=True) from e
        raise _wrapped(conn, sql, args, e) from e
    finally:
        cursor.close()


def _dbapi(conn: Connection) -> Any:
    return conn.dialect.loaded_dbapi


def _wrapped(conn: Connection, sql: str, args: Any, error: Exception, *, lost: bool = False) -> BaseException:
    """The driver's error as SQLAlchemy names it, so that callers know one kind."""
    named: Any = DBAPIError.instance(sql, args, error, _dbapi(conn).Error, connection_invalidated=lost, dialect=conn.dialect)
    return named
