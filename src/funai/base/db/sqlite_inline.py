"""SQLite on the event loop's own thread, for SQLAlchemy's async engine.

A statement of ours takes SQLite 10 to 100 µs; handing it to a thread and back costs more than that, several times a
statement, and far more on a busy machine (docs/decisions/queue-measured.md). So statements run where they are asked
for. Waiting never does: a database that another process has locked is asked again after a pause in which the loop
goes on.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import pool
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util.concurrency import await_

T = TypeVar("T")

BUSY_SECONDS = 10.0
"""How long a statement keeps asking for a locked database before it gives up."""
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02


class InlineCursor(sqlite3.Cursor):
    """Answers at once, and waits by giving the loop back.

    Rows are read when the statement runs, as every async driver does: a SELECT that is left half read keeps its
    snapshot over the COMMIT, and the connection's next reader would see the past.
    """

    _rows: deque[Any]

    def execute(self, sql: str, parameters: Any = (), /) -> InlineCursor:
        def run() -> None:
            sqlite3.Cursor.execute(self, sql, parameters)
            self._rows = deque(sqlite3.Cursor.fetchall(self) if self.description else ())

        _patiently(run)
        return self

    def executemany(self, sql: str, parameters: Any, /) -> InlineCursor:
        rows = list(parameters)
        _patiently(lambda: sqlite3.Cursor.executemany(self, sql, rows))
        self._rows = deque()
        return self

    def fetchone(self) -> Any:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        count = min(len(self._rows), self.arraysize if size is None else size)
        return [self._rows.popleft() for _ in range(count)]

    def fetchall(self) -> list[Any]:
        rows = list(self._rows)
        self._rows.clear()
        return rows

    async def _async_soft_close(self) -> None:
        """What SQLAlchemy asks of an async driver's cursor when its rows are read: there is nothing to wait for."""


class InlineConnection(sqlite3.Connection):
    def cursor(self, factory: Any = None, /) -> Any:
        return super().cursor(factory or InlineCursor)

    def commit(self) -> None:
        _patiently(super().commit)


def _patiently(work: Callable[[], T]) -> T:
    pause, waited = _FIRST_PAUSE, 0.0
    await_(_turn())  # SQLAlchemy insists that an async driver awaits something
    while True:
        try:
            return work()
        except sqlite3.OperationalError as e:
            if e.sqlite_errorcode not in _LOCKED or waited >= BUSY_SECONDS:
                raise
        await_(asyncio.sleep(pause))
        waited += pause
        pause = min(_LONGEST_PAUSE, pause * 2)


async def _turn() -> None:
    return


class InlineSQLite(SQLiteDialect_pysqlite):
    """``sqlite+inline``, registered by ``base.db``."""

    driver = "inline"
    is_async = True
    supports_statement_cache = True

    @classmethod
    def get_pool_class(cls, url: Any) -> type[pool.Pool]:
        return pool.AsyncAdaptedQueuePool if cls._is_url_file_db(url) else pool.StaticPool

    def create_connect_args(self, url: Any) -> Any:
        args, options = super().create_connect_args(url)
        return args, {**options, "factory": InlineConnection, "timeout": 0}
