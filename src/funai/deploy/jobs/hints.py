"""Hints between instances that there is work. Nothing depends on one arriving: the shared poll finds the same a bit later."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Protocol, cast

import asyncpg
from sqlalchemy import text

from funai.base import log
from funai.base.db import Database
from funai.base.supervise import wait_any
from funai.contracts.errors import Unavailable
from funai.deploy.jobs.waiters import Waiters

CHANNEL = "funai_deploy_jobs"


class Hints(Protocol):
    async def send(self) -> None:
        """Tell other instances that a job can be claimed. Never fails."""
        ...

    async def listen(self, stop: asyncio.Event) -> None:
        """Wake this instance's waiters on others' hints until ``stop``."""
        ...


class NoHints:
    """Where the database can't tell: SQLite (one instance) and MySQL/MariaDB (the poll does it)."""

    async def send(self) -> None:
        return

    async def listen(self, stop: asyncio.Event) -> None:
        await stop.wait()


class PostgresHints:
    """LISTEN/NOTIFY on one connection outside the pool, made again when it breaks."""

    def __init__(self, db: Database, waiters: Waiters) -> None:
        self.db, self.waiters = db, waiters

    async def send(self) -> None:
        with suppress(Unavailable):
            async with self.db.write() as conn:
                await conn.execute(text(f"NOTIFY {CHANNEL}"))

    async def listen(self, stop: asyncio.Event) -> None:
        dsn = self.db.url.set(drivername="postgresql").render_as_string(hide_password=False)
        while not stop.is_set():
            try:
                await self._listen_once(dsn, stop)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
                log.get("hints").info("hints.reconnecting", error=str(e) or type(e).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await stop.wait()

    async def _listen_once(self, dsn: str, stop: asyncio.Event) -> None:
        connection = await cast("Any", asyncpg).connect(dsn, timeout=5)
        broken = asyncio.Event()

        def ended(_: Any) -> None:
            broken.set()

        def hinted(*_: Any) -> None:
            self.waiters.wake()

        connection.add_termination_listener(ended)
        try:
            await connection.add_listener(CHANNEL, hinted)
            self.waiters.wake(self.waiters.waiting)  # hints may have gone by while nobody listened
            await wait_any(stop, broken)
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                await connection.close(timeout=2)
