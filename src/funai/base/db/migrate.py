"""Alembic, run in process and under a lock, so that several instances may start at once."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from funai.base.db.engine import MYSQL_LIMITS, Database, Dialect
from funai.contracts.errors import ConfigError, Unavailable

_ONE_AT_A_TIME = threading.Lock()  # Alembic's `context` and `op` are the process's, and our rooms may share a process
LOCK_SECONDS = 120
"""How long one instance waits on MySQL for another's upgrade."""
_LOCK = 0x66756E61  # "funa"; the same for every room, since they may share one database


async def reachable(db: Database) -> None:
    """Try the database once. Raises ConfigError with its own words: at a start nobody waits for it to come back."""
    try:
        async with db.write() as conn:
            await conn.execute(text("SELECT 1"))
    except (Unavailable, DBAPIError, OSError) as e:
        await db.close()
        cause = e.__cause__ if isinstance(e, Unavailable) and e.__cause__ else e
        said = str(getattr(cause, "orig", None) or cause).partition("\n")[0] or type(cause).__name__
        where = db.url.set(drivername=db.dialect.value).render_as_string(hide_password=True)
        raise ConfigError([f"the database {where} can't be used: {said}; mend datasource.url, or start the database"]) from e


async def upgrade(db: Database, scripts: Path, *, revision: str = "head") -> None:
    """Bring the database at ``db`` to ``revision`` with the migrations under ``scripts``.

    SQLite: the whole upgrade is one IMMEDIATE transaction. PostgreSQL: an advisory lock. MySQL/MariaDB: GET_LOCK.
    ``scripts/env.py`` takes its connection from ``config.attributes["connection"]``. Raises ConfigError, Unavailable.
    """
    await reachable(db)
    while not _ONE_AT_A_TIME.acquire(blocking=False):  # noqa: ASYNC110  # two event loops may meet here
        await asyncio.sleep(0.01)
    try:
        async with db.write() as conn:
            await conn.run_sync(_locked_upgrade, db.dialect, scripts, revision)
    finally:
        _ONE_AT_A_TIME.release()


def _locked_upgrade(conn: Connection, dialect: Dialect, scripts: Path, revision: str) -> None:
    if dialect is Dialect.POSTGRESQL:
        # An upgrade may take its time, and waits for another instance's.
        conn.execute(text("SET LOCAL statement_timeout = 0"))
        conn.execute(text("SET LOCAL lock_timeout = 0"))
        conn.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": _LOCK})
    elif dialect is Dialect.MYSQL:
        conn.execute(text("SET SESSION innodb_lock_wait_timeout = 3600 /*M! , max_statement_time = 0 */"))
        if conn.execute(text(f"SELECT GET_LOCK('funai_migrate', {LOCK_SECONDS})")).scalar() != 1:
            raise ConfigError(
                [f"another instance has been upgrading this database for {LOCK_SECONDS} s; wait for it, or end it"]
            )
    try:
        config = Config()
        config.set_main_option("script_location", str(scripts).replace("%", "%%"))
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
    finally:
        if dialect is Dialect.MYSQL:
            conn.execute(text("SELECT RELEASE_LOCK('funai_migrate')"))
            conn.execute(text(MYSQL_LIMITS))
