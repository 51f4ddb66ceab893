"""Hints between instances that there is work. Nothing depends on one arriving: the shared poll finds the same a bit later."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Protocol, cast

import asyncpg

from funai.base.aio import wait_any
from funai.base.db.engine import Database
from funai.base.observability import log
from funai.deploy.queue.waiters import Waiters

CHANNEL = "funai_deploy_jobs"
GATHER_SECONDS = 0.02
"""At most one hint in this time: every one is a commit that PostgreSQL lets happen one after the other."""
MAX_JOBS = 1_000
_SQLALCHEMYS = ("prepared_statement_cache_size", "prepared_statement_name_func", "async_creator_fn", "async_fallback")
"""Options that SQLAlchemy takes out before asyncpg sees them."""


class Hints(Protocol):
    def send(self) -> None:
        """Tell other instances soon that one more job can be claimed. Never fails, and waits for nothing."""
        ...

    async def listen(self, stop: asyncio.Event) -> None:
        """Wake this instance's waiters on others' hints until ``stop``."""
        ...


class NoHints:
    """Where the database can't tell: SQLite (one instance) and MySQL/MariaDB (the poll does it)."""

    def send(self) -> None:
        return

    async def listen(self, stop: asyncio.Event) -> None:
        await stop.wait()


def postgres_address(db: Database) -> dict[str, object]:
    """What asyncpg is to connect to, as SQLAlchemy's dialect reads the URL: its options (``ssl``, several hosts) mean the same
    here as on the pool's connections, and as a plain address they would not."""
    _, options = db.sync_engine.dialect.create_connect_args(db.url)
    return {name: value for name, value in options.items() if name not in _SQLALCHEMYS}


class PostgresHints:
    """LISTEN and NOTIFY on one connection outside the pool, made again when it breaks. A hint says how many jobs came."""

    def __init__(self, db: Database, waiters: Waiters) -> None:
        self.db, self.waiters = db, waiters
        self._jobs = 0
        self._some = asyncio.Event()

    def send(self) -> None:
        self._jobs = min(self._jobs + 1, MAX_JOBS)
        self._some.set()

    async def listen(self, stop: asyncio.Event) -> None:
        address = postgres_address(self.db)
        while not stop.is_set():
            try:
                await self._listen_once(address, stop)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                log.get("hints").info("hints.reconnecting", error=str(e) or type(e).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await stop.wait()

    async def _listen_once(self, address: Mapping[str, object], stop: asyncio.Event) -> None:
        connection = await cast("Any", asyncpg).connect(**address, timeout=5)
        broken = asyncio.Event()

        def ended(_: object) -> None:
            broken.set()

        def hinted(_: object, pid: int, __: str, jobs: str) -> None:
            if pid != connection.get_server_pid():
                self.waiters.wake(int(jobs) if jobs.isdigit() else 1)

        connection.add_termination_listener(ended)
        try:
            await connection.add_listener(CHANNEL, hinted)
            self.waiters.wake(self.waiters.waiting)  # hints may have been missed while not listening
            while not stop.is_set() and not broken.is_set():
                await wait_any(stop, broken, self._some)
                if self._some.is_set():
                    await self._notify(connection)
                    await wait_any(stop, broken, timeout=GATHER_SECONDS)
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await connection.close(timeout=2)

    async def _notify(self, connection: Any) -> None:
        jobs, self._jobs = self._jobs, 0
        self._some.clear()
        await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, str(jobs), timeout=5)
