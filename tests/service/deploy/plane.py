"""Placement on a real database, its queue watched, and small ways to put nodes into it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.contracts.jobs import RuntimeNodeRef
from funai.contracts.nodes import NodeHeartbeat
from funai.deploy import tables
from funai.deploy.placement.heartbeats import Heartbeats
from funai.deploy.placement.operator import Nodes
from funai.deploy.placement.policy import Rules
from funai.deploy.placement.service import Placer
from funai.deploy.queue.ports import Waiting


@dataclass
class Calls:
    """The queue as its neighbours see it; remembers what it was asked."""

    changes: int = 0
    cancelled: list[int] = field(default_factory=list)
    active: dict[int, int] = field(default_factory=dict)
    purged: list[int] = field(default_factory=list)
    generations: dict[int, int] = field(default_factory=dict)

    async def nodes_changed(self) -> None:
        self.changes += 1

    async def cancel_active(self, app_id: int, actor: str) -> int | None:
        self.cancelled.append(app_id)
        return self.active.pop(app_id, None)

    async def newest_generation(self, app_id: int) -> int | None:
        return self.generations.get(app_id)

    async def purge_app(self, conn: AsyncConnection, app_id: int) -> int:
        self.purged.append(app_id)
        gone = await conn.execute(tables.job.delete().where(tables.job.c.app_id == app_id))
        return gone.rowcount


@contextmanager
def commits(db: Database) -> Iterator[list[object]]:
    """One entry for each transaction that was committed meanwhile."""
    seen: list[object] = []

    def count(conn: object) -> None:
        seen.append(conn)

    event.listen(db.sync_engine, "commit", count)
    try:
        yield seen
    finally:
        event.remove(db.sync_engine, "commit", count)


@dataclass
class Plane:
    """Placement on a real database."""

    db: Database
    queue: Calls
    rules: Rules

    @property
    def placer(self) -> Placer:
        return Placer(self.rules)

    @cached_property
    def heartbeats(self) -> Heartbeats:
        return Heartbeats(self.db, self.rules, self.queue)

    @property
    def nodes(self) -> Nodes:
        return Nodes(self.db, self.rules, self.queue)

    async def beat(self, name: str, pct: float | None = 60, **kw: object) -> int:
        """A heartbeat; answers the node's id."""
        given = {
            "nodeName": name,
            "agentBaseUrl": f"http://{name}:7005",
            "gatewayBaseUrl": f"http://{name}",
            "diskFreePct": pct,
        }
        return (await self.heartbeats.take(NodeHeartbeat.model_validate({**given, **kw}))).node_id

    async def now(self) -> int:
        async with self.db.read() as conn:
            return await self.db.clock(conn)

    async def place(self, app_id: int, later_ms: int = 0) -> RuntimeNodeRef | Waiting:
        """One claim's placement, in a transaction of its own."""

        async def work(conn: AsyncConnection) -> RuntimeNodeRef | Waiting:
            now_ms = await self.db.clock(conn)
            return await self.placer.place(conn, app_id, now_ms + later_ms)

        return await self.db.retrying(work)

    async def placed(self, app_id: int) -> RuntimeNodeRef:
        where = await self.place(app_id)
        assert isinstance(where, RuntimeNodeRef), where
        return where

    async def job(self, app_id: int, status: str) -> None:
        async with self.db.write() as conn:
            await conn.execute(
                tables.job.insert().values(type="BUILD_AND_DEPLOY", app_id=app_id, status=status, payload_json="{}")
            )
