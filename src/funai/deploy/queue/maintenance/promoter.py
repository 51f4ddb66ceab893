"""Jobs that wait for a node or for their next attempt become claimable again."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.deploy.queue.store import JobStore

PROBES = 8
"""Jobs waiting for a node that one pass lets try again; when one of them is placed, the next follow at once."""
EARLY, EARLY_MS = 32, 60_000
DUE = 500


class Promoter:
    """Called by the :class:`Tender`, and by the queue when a node can take more. Every call answers how many it promoted."""

    def __init__(self, store: JobStore) -> None:
        self.store = store

    async def next_attempts(self) -> int:
        return await self._promote(self.store.sql.backs_off, 0, DUE)

    async def waits_for_node(self) -> int:
        return await self._promote(self.store.sql.waits_for_node, 0, PROBES)

    async def node_able(self) -> int:
        """A node took a job or can take one again: more waiting jobs try before their time."""
        return await self._promote(self.store.sql.waits_for_node, EARLY_MS, EARLY)

    async def _promote(self, which: Any, early_ms: int, limit: int) -> int:
        async def work(conn: AsyncConnection) -> int:
            found = await conn.execute(which, {"p_early": early_ms, "p_limit": limit})
            ids = list(found.scalars())
            if not ids:
                return 0
            return int((await conn.execute(self.store.sql.promote, {"p_ids": ids})).rowcount)

        return await self.store.db.retrying(work)
