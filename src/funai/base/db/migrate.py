"""Alembic, run in process and under a lock, so that several instances may start at once."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from funai.base.db.engine import MYSQL_LIMITS, Database, Dialect
from funai.contracts.errors import ConfigError, NotReady, Unavailable

T = TypeVar("T")
_ONE_AT_A_TIME = threading.Lock()  # Alembic's `context` and `op` are the process's, and our rooms may share a process
LOCK_SECONDS = 120
"""How long one instance waits on MySQL for another's upgrade."""
_LOCK = 0x66756E61  # "funa"; the same for every room, since they may share one database


async def reachable(db: Database) -> None:
    """Try the database once. Raises NotReady with its own words: a start does not wait for it to come back."""
    try:
        async with db.write() as conn:
            await conn.execute(text("SELECT 1"))
    except (Unavailable, DBAPIError, OSError) as e:
        await db.close()
        cause = e.__cause__ if isinstance(e, Unavailable) and e.__cause__ else e
        said = str(getattr(cause, "orig", None) or cause).partition("\n")[0] or type(cause).__name__
        where = db.url.set(drivername=db.dialect.value).render_as_string(hide_password=True)
        raise NotReady([f"the database {where} can't be used: {said}; {remedy(said)}"]) from e


def remedy(said: str) -> str:
    """What to do about a database that says this."""
    full = any(words in said.lower() for words in ("disk is full", "no space left", "quota exceeded"))
    return "make room on the disk that holds it" if full else "mend datasource.url, or start the database"


async def upgrade(db: Database, scripts: Path, *, revision: str = "head", time_zone: str = "") -> None:
    """Bring the database at ``db`` to ``revision`` with the migrations under ``scripts``.

    ``time_zone``: in which an installation that is taken over wrote its times (MySQL); empty: the database's own.

    SQLite: the whole upgrade is one IMMEDIATE transaction. PostgreSQL: an advisory lock. MySQL/MariaDB: GET_LOCK.
    ``scripts/env.py`` takes its connection from ``config.attributes["connection"]``. Raises ConfigError, Unavailable.
    """
    await reachable(db)
    while not _ONE_AT_A_TIME.acquire(blocking=False):  # noqa: ASYNC110  # two event loops may meet here
        await asyncio.sleep(0.01)
    try:
        async with db.write() as conn:
            await conn.run_sync(_locked, db.dialect, time_zone, partial(_upgrade, scripts=scripts, revision=revision))
    finally:
        _ONE_AT_A_TIME.release()


async def alone(db: Database, work: Callable[[Connection], T], *, time_zone: str = "") -> T:
    """Do ``work`` on the database as an upgrade does: under its lock, without limits of time. Raises as ``upgrade``."""
    await reachable(db)
    async with db.write() as conn:
        return await conn.run_sync(_locked, db.dialect, time_zone, work)


async def pending(db: Database, scripts: Path, version_table: str) -> str:
    """For people: at which revision the database is, and to which an upgrade brings it."""
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    head = ScriptDirectory.from_config(config).get_current_head()

    def look(conn: Connection) -> str | None:
        return MigrationContext.configure(conn, opts={"version_table": version_table}).get_current_revision()

    async with db.read() as conn:
        at = await conn.run_sync(look)
    where = db.url.set(drivername=db.dialect.value).render_as_string(hide_password=True)
    return f"{where}: {version_table} is at {at or 'nothing'}, " + ("the newest" if at == head else f"and goes to {head}")


def _upgrade(conn: Connection, *, scripts: Path, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = conn
    command.upgrade(config, revision)


def _locked(conn: Connection, dialect: Dialect, time_zone: str, work: Callable[[Connection], T]) -> T:
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
        if dialect is Dialect.MYSQL and time_zone:
            conn.execute(text("SET SESSION time_zone = :z"), {"z": offset_of(time_zone)})
        return work(conn)
    finally:
        if dialect is Dialect.MYSQL:
            conn.execute(text("SET SESSION time_zone = DEFAULT"))
            conn.execute(text("SELECT RELEASE_LOCK('funai_migrate')"))
            conn.execute(text(MYSQL_LIMITS))


def offset_of(time_zone: str) -> str:
    """``Asia/Shanghai`` or ``GMT+8`` → ``+08:00``, which a MySQL without its tables of zones knows too. Raises ConfigError."""
    if found := re.fullmatch(r"(?:GMT|UTC)?([+-])([0-9]{1,2}):?([0-9]{2})?", time_zone):
        return f"{found[1]}{int(found[2]):02}:{found[3] or '00'}"
    try:
        offset = datetime.now(ZoneInfo(time_zone)).utcoffset() or timedelta()
    except (ZoneInfoNotFoundError, ValueError) as e:
        raise ConfigError([f"time zone {time_zone!r}: is not known; give one like Asia/Shanghai or +08:00"]) from e
    minutes = round(offset.total_seconds() / 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
