"""SQLite on the event loop's thread: SQLAlchemy's synchronous engine behind the methods of ``AsyncConnection`` that we use.

A statement of ours takes SQLite 10 to 100 µs; handing it to a thread and back takes several times as long. So statements run
where they are called. A locked database (another process writes) is asked again after a pause in which the loop goes on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, Executable, create_engine, event
from sqlalchemy.engine import Dialect, Result
from sqlalchemy.exc import OperationalError

from funai.base.retry import retrying

T = TypeVar("T")

BUSY_SECONDS = 10.0
"""How long a locked database is asked again before the statement fails."""
_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_RECOVERY)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.02
_PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "cache_size=-16000", "wal_autocheckpoint=0")


def sqlite_engine(url: URL, pool_size: int) -> Engine:
    """An engine that never waits in the driver or in the pool: neither may hold the event loop."""
    engine = create_engine(url, pool_size=pool_size, max_overflow=-1, pool_use_lifo=True, connect_args={"timeout": 0})
    event.listen(engine, "connect", _on_connect)
    return engine


def _on_connect(dbapi_connection: Any, _record: Any) -> None:
    # The driver's own implicit BEGIN would start transactions as readers that fail when they upgrade.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class SQLiteConnection:
    """The part of ``AsyncConnection`` that our stores use, on a synchronous connection."""

    def __init__(self, connection: Connection) -> None:
        self.sync_connection = connection

    @property
    def dialect(self) -> Dialect:
        return self.sync_connection.dialect

    @property
    def usable(self) -> bool:
        return not (self.sync_connection.closed or self.sync_connection.invalidated)

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> Result[Any]:
        """Rows are read at once: a half-read SELECT keeps its snapshot over COMMIT, and the next reader would see the past."""

        def run() -> Result[Any]:
            result = self.sync_connection.execute(statement, parameters)
            return result.freeze()() if result.returns_rows else result

        return await _patiently(run)

    async def scalar(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Any:
        return (await self.execute(statement, parameters)).scalar()

    async def exec_driver_sql(self, statement: str) -> Result[Any]:
        def run() -> Result[Any]:
            result = self.sync_connection.exec_driver_sql(statement)
            return result.freeze()() if result.returns_rows else result

        return await _patiently(run)

    async def run_sync(self, work: Callable[..., T], *args: Any) -> T:
        return work(self.sync_connection, *args)

    @asynccontextmanager
    async def begin(self, *, write: bool = False) -> AsyncIterator[SQLiteConnection]:
        """A transaction; a writer's is IMMEDIATE, so that it waits for its turn instead of failing when it first writes."""
        with self.sync_connection.begin():
            await _patiently(lambda: self.sync_connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN"))
            yield self
            await _patiently(lambda: self.sync_connection.exec_driver_sql("COMMIT"))

    def close(self) -> None:
        self.sync_connection.close()


async def _patiently(work: Callable[[], T]) -> T:
    """Do ``work``; again while another process holds the lock."""

    async def attempt() -> T:
        return work()

    return await retrying(
        attempt, on=OperationalError, when=_locked, seconds=BUSY_SECONDS, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE
    )


def _locked(e: OperationalError) -> bool:
    return getattr(e.orig, "sqlite_errorcode", None) in _LOCKED
