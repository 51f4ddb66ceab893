"""Database access: one engine a process part, on SQLite, PostgreSQL or MySQL/MariaDB.

Transactions are explicit: ``async with db.write() as conn`` or ``db.read()``. SQLite runs in WAL mode with one writer:
writes queue on an in-process lock and begin IMMEDIATE, so that they wait in line instead of failing
(``base.db.sqlite`` says why without a thread). MySQL and MariaDB run READ COMMITTED (REPEATABLE READ's gap locks
deadlock a queue).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import ColumnElement, Engine, Executable, event, literal_column, make_url, select
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from funai.base.db.checkpoints import Checkpoints
from funai.base.db.rows import Row, all_rows, first_row
from funai.base.db.sqlite import SQLiteConnection, sqlite_engine
from funai.base.retry import retrying
from funai.contracts.errors import ConfigError, Unavailable

T = TypeVar("T")
STATEMENTS = 100
"""Prepared on MySQL's side, a connection."""
STATEMENT_SECONDS = 30
"""A statement that runs for longer is ended by the database: whoever called has given up by then."""
LOCK_SECONDS = 10
"""A statement waits so long for another transaction's lock."""
_POSTGRES_LIMITS = {
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": "60s",
}
# MariaDB reads the comment with M, MySQL the one with its version's number.
MYSQL_LIMITS = (
    f"SET SESSION innodb_lock_wait_timeout = {LOCK_SECONDS} /*M! , max_statement_time = {STATEMENT_SECONDS} */ "
    f"/*!50708 , max_execution_time = {STATEMENT_SECONDS * 1000} */"
)
FRESH_SECONDS = 2.0
"""A MySQL connection that lay idle for longer is asked whether it lives before it is used."""


class Dialect(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    MYSQL = "mysql"
    """MySQL 8 and MariaDB ≥ 10.6."""

    @property
    def returns_rows(self) -> bool:
        """Whether an INSERT or UPDATE can answer the rows it changed."""
        return self is not Dialect.MYSQL

    @property
    def partial_indexes(self) -> bool:
        """Whether an index may hold some rows only; elsewhere an index leads with the condition's columns."""
        return self is not Dialect.MYSQL

    @property
    def locks_rows(self) -> bool:
        """Whether ``FOR UPDATE`` exists; SQLite has one writer instead."""
        return self is not Dialect.SQLITE

    @property
    def skips_locked_in_updates(self) -> bool:
        """Whether a subquery of an UPDATE may pass over rows that another transaction holds."""
        return self is Dialect.POSTGRESQL

    @property
    def notifies(self) -> bool:
        """Whether one connection can wake another: LISTEN and NOTIFY."""
        return self is Dialect.POSTGRESQL


_DRIVERS = {Dialect.SQLITE: "sqlite+pysqlite", Dialect.POSTGRESQL: "postgresql+asyncpg", Dialect.MYSQL: "mysql+asyncmy"}
_ALIASES = {
    "sqlite": Dialect.SQLITE,
    "postgresql": Dialect.POSTGRESQL,
    "postgres": Dialect.POSTGRESQL,
    "mysql": Dialect.MYSQL,
    "mariadb": Dialect.MYSQL,
}

_NOW_MS = {
    Dialect.SQLITE: "CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)",
    Dialect.POSTGRESQL: "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
    Dialect.MYSQL: "CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)",
}


def now_ms_sql(dialect: str) -> str:
    """The database's own clock, epoch milliseconds, as SQL; for migrations, which have a connection and no Database."""
    return _NOW_MS[_ALIASES[dialect]]


def sqlite_url(file: Path) -> str:
    return f"sqlite:///{file}"


def storable(text: str) -> str:
    """Text every one of the databases can hold: PostgreSQL takes no NUL, and none a lone surrogate."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


class Database:
    """An engine and its dialect's habits. Make with a URL (``sqlite:///file``, ``postgresql://…``, ``mysql://…``)."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        try:
            parsed = make_url(url)
            self.dialect = _ALIASES[parsed.drivername.partition("+")[0]]
        except Exception as e:
            raise ConfigError([f"datasource.url: not a usable database URL ({type(e).__name__})"]) from e
        if self.dialect is Dialect.SQLITE and parsed.database in (None, "", ":memory:"):
            raise ConfigError(["datasource.url: SQLite needs a file, like sqlite:////var/lib/funai/api.db"])
        self.url = parsed.set(drivername=_DRIVERS[self.dialect])
        if self.dialect is Dialect.MYSQL and "charset" not in self.url.query:
            self.url = self.url.update_query_dict({"charset": "utf8mb4"})
        self._turn = asyncio.Lock()
        self._listeners: dict[str, Callable[[], None]] = {}
        self._writer: SQLiteConnection | None = None
        file = self.url.database if self.dialect is Dialect.SQLITE else None
        self._checkpoints = Checkpoints(file, self._turn) if file and file != ":memory:" else None
        self._sqlite = sqlite_engine(self.url, pool_size) if self.dialect is Dialect.SQLITE else None
        self._engines = self._pools(pool_size) if self._sqlite is None else None

    @property
    def sync_engine(self) -> Engine:
        """The engine that runs write transactions, for SQLAlchemy's events."""
        if self._sqlite is not None:
            return self._sqlite
        assert self._engines is not None
        return self._engines[0].sync_engine

    def _pools(self, size: int) -> tuple[AsyncEngine, AsyncEngine]:
        """(for writes, for reads alone) on a database server."""
        if self.dialect is Dialect.POSTGRESQL:
            engine = self._pooled(size, size)
            return engine, engine.execution_options(isolation_level="AUTOCOMMIT")
        readers = max(1, size // 2)
        engine = self._pooled(size, readers, isolation_level="READ COMMITTED")
        return engine, self._pooled(readers, size - readers, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True)

    def _pooled(self, size: int, overflow: int, **options: Any) -> AsyncEngine:
        if self.dialect is Dialect.MYSQL:
            # Every transaction of ours ends with COMMIT or ROLLBACK; the pool's own ROLLBACK is one more round trip.
            own = {"stmt_cache_size": STATEMENTS, "init_command": MYSQL_LIMITS}
            options |= {"pool_recycle": 1800, "pool_reset_on_return": None, "connect_args": own}
        else:
            options |= {"connect_args": {"server_settings": _POSTGRES_LIMITS}}
        engine = create_async_engine(
            self.url, pool_size=size, max_overflow=overflow, pool_timeout=10, pool_use_lifo=True, **options
        )
        _check_on_checkout(engine)
        return engine

    def now_ms(self) -> ColumnElement[int]:
        """The database's own clock as an SQL expression: epoch milliseconds. Leases are decided by it alone."""
        return literal_column(now_ms_sql(self.dialect))

    async def clock(self, conn: AsyncConnection) -> int:
        """What the database's clock says, in the caller's transaction."""
        return int((await conn.execute(select(self.now_ms()))).scalar_one())

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed on leaving, rolled back on any error. Raises Unavailable."""
        if self._engines is None:
            async with self._sqlite_writer() as conn:
                yield conn
            return
        async with _mapped(), self._engines[0].connect() as conn:
            async with conn.begin():
                yield conn
            self._committed(conn)

    @asynccontextmanager
    async def _sqlite_writer(self) -> AsyncIterator[AsyncConnection]:
        """Always the same connection, one user at a time: no other connection's writes make its page cache stale."""
        async with self._turn, _mapped():
            if self._writer is None or not self._writer.usable:
                assert self._sqlite is not None
                self._writer = SQLiteConnection(self._sqlite.connect())
            writer = cast("AsyncConnection", self._writer)
            async with self._writer.begin(write=True):
                yield writer
            self._committed(writer)
        if self._checkpoints:
            self._checkpoints.written()

    def listen(self, topic: str, heard: Callable[[], None]) -> None:
        """Call ``heard`` after each commit of this process that was announced by ``topic`` (:func:`announce`)."""
        self._listeners[topic] = heard

    def _committed(self, conn: AsyncConnection) -> None:
        for topic in _info(conn).pop(_ANNOUNCED, ()):
            if heard := self._listeners.get(topic):
                heard()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads. Outside SQLite each statement is its own, which saves what begins and ends one on the
        wire: READ COMMITTED shows every statement the newest rows either way."""
        async with _mapped():
            if self._engines is not None:
                async with self._engines[1].connect() as conn:
                    yield conn
                return
            assert self._sqlite is not None
            with self._sqlite.connect() as sync:
                async with SQLiteConnection(sync).begin() as lite:
                    yield cast("AsyncConnection", lite)

    async def retrying(self, work: Callable[[AsyncConnection], Awaitable[T]], *, tries: int = 5) -> T:
        """Run ``work`` in a write transaction, again when the database chose it as a deadlock's victim."""

        async def attempt() -> T:
            async with self.write() as conn:
                return await work(conn)

        return await retrying(attempt, on=Conflicted, tries=tries, first=0.005, longest=0.04)

    async def fetch_all(self, statement: Executable, parameters: dict[str, Any] | None = None) -> list[Row]:
        """Rows of one read as dictionaries."""
        async with self.read() as conn:
            return await all_rows(conn, statement, parameters)

    async def fetch_one(self, statement: Executable, parameters: dict[str, Any] | None = None) -> Row | None:
        """The first row of one read, or None."""
        async with self.read() as conn:
            return await first_row(conn, statement, parameters)

    async def close(self) -> None:
        if self._checkpoints is not None:
            await self._checkpoints.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._sqlite is not None:
            self._sqlite.dispose()
        for engine in self._engines or ():
            await engine.dispose()


_ANNOUNCED = "funai_announced"


def announce(conn: AsyncConnection, topic: str) -> None:
    """Have the listener of ``topic`` called once this transaction is committed. After a rollback it may be called in vain."""
    _info(conn).setdefault(_ANNOUNCED, set()).add(topic)


def _info(conn: AsyncConnection) -> dict[str, Any]:
    assert conn.sync_connection is not None
    return cast("dict[str, Any]", conn.sync_connection.info)


class Conflicted(Unavailable):
    """The database rolled this transaction back for another's sake (deadlock, serialisation, busy): try again."""


_RETRYABLE_SQLSTATES = {"40001", "40P01", "55P03"}
_RETRYABLE_MYSQL = {1205, 1213, 1020}
_GONE_SQLSTATES = ("08", "53", "57P", "57014", "58")
"""Connection lost, no connection to spare, the server is stopping or starting, a statement ran for too long, a disk failed."""
_GONE_MYSQL = frozenset(
    {1021, 1037, 1040, 1041, 1053, 1077, 1079, 1080, 1129, 1203, 1226, 1290, 1836, 1927, 1969, 3024, 4031}
    | set(range(1158, 1162))
    | set(range(2001, 2056))
)
"""No memory, disk or connection to spare, stopping, read-only, lost, a statement that ran for too long; the client's own."""
_GONE_SQLITE = ("unable to open", "disk i/o", "is full", "readonly", "locked", "busy")


def _sqlstate(e: DBAPIError) -> str:
    orig = e.orig
    state = getattr(orig, "sqlstate", None) or getattr(getattr(orig, "__cause__", None), "sqlstate", None)
    return str(state or "")


def _conflict(e: DBAPIError) -> bool:
    args: tuple[Any, ...] = getattr(e.orig, "args", ())
    return _sqlstate(e) in _RETRYABLE_SQLSTATES or bool(args and (args[0] in _RETRYABLE_MYSQL or "locked" in str(args[0])))


def _gone(e: DBAPIError) -> bool:
    args: tuple[Any, ...] = getattr(e.orig, "args", ())
    if e.connection_invalidated or isinstance(e, InterfaceError) or _sqlstate(e).startswith(_GONE_SQLSTATES):
        return True
    if not args or not isinstance(e, OperationalError):
        return False
    if isinstance(args[0], int):
        return args[0] in _GONE_MYSQL
    # SQLite's word for a missing column is of the same class as that for a full disk; the one passes, the other doesn't.
    return any(word in str(args[0]).lower() for word in _GONE_SQLITE)


@asynccontextmanager
async def _mapped() -> AsyncIterator[None]:
    """Foreign exceptions to ours, once: a lost connection is Unavailable, a chosen victim is Conflicted."""
    try:
        yield
    except DBAPIError as e:
        if _conflict(e):
            raise Conflicted() from e
        if _gone(e):
            raise Unavailable() from e
        raise
    except (ConnectionError, TimeoutError, PoolTimeout) as e:
        raise Unavailable() from e


def _check_on_checkout(engine: AsyncEngine) -> None:
    """Replaces a connection that the server closed while it was idle. asyncpg knows without asking; MySQL is pinged when the
    connection was idle for long (SQLAlchemy's ``pool_pre_ping`` costs round trips at every checkout)."""
    dialect = engine.sync_engine.dialect

    def used(_: Any, record: ConnectionPoolEntry) -> None:
        record.info["funai_used"] = time.monotonic()

    def taken(dbapi_connection: Any, record: ConnectionPoolEntry, _: Any) -> None:
        if dialect.name == "postgresql":
            if dbapi_connection.driver_connection.is_closed():
                raise DisconnectionError
        elif time.monotonic() - record.info.get("funai_used", 0) > FRESH_SECONDS:
            try:
                dialect.do_ping(dbapi_connection)
            except dialect.loaded_dbapi.Error as e:
                raise DisconnectionError from e

    event.listen(engine.sync_engine, "checkin", used)
    event.listen(engine.sync_engine, "checkout", taken)
