"""What gateways and edges reported last: kept for alerts, for every instance of Deploy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.base.db.inserts import upsert
from funai.base.db.rows import all_rows
from funai.contracts.apps.edge import GatewayFigures
from funai.deploy.tables import gateway

FRESH_MS = 150_000
"""Counts of a gateway that reported longer ago say nothing of now."""
KEPT_MS = 86_400_000
MOST = 1_000


@dataclass(frozen=True, slots=True)
class GatewayState:
    """``name`` as people know it; counts of the last minute, 0 from one that is silent; ``ending``: days by certificate."""

    name: str
    requests: int
    failed: int
    ending: Sequence[tuple[str, float]] = ()


class GatewayBook:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def note(self, kind: str, figures: GatewayFigures) -> None:
        """Keep a report in the place of the last one."""
        ends = {c.name: round(c.ends_at.timestamp() * 1000) for c in figures.certificates}

        async def work(conn: AsyncConnection) -> None:
            now_ms = await self.db.clock(conn)
            values = {"seen_ms": now_ms, "requests": figures.requests, "failed": figures.failed}
            values |= {"certificates_json": json.dumps(ends)}
            row = {"name": f"{kind}:{figures.name}", **values}
            await conn.execute(upsert(conn.dialect.name, gateway, row, values))

        await self.db.retrying(work)

    async def states(self) -> list[GatewayState]:
        """Of the gateways that reported within a day, by name."""
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            query = select(gateway).where(gateway.c.seen_ms > now_ms - KEPT_MS).order_by(gateway.c.name).limit(MOST)
            rows = await all_rows(conn, query)
        return [
            GatewayState(
                name=str(row["name"]).partition(":")[2],
                requests=row["requests"] if (fresh := row["seen_ms"] > now_ms - FRESH_MS) else 0,
                failed=row["failed"] if fresh else 0,
                ending=[(name, (end - now_ms) / KEPT_MS) for name, end in json.loads(row["certificates_json"] or "{}").items()],
            )
            for row in rows
        ]

    async def prune(self) -> int:
        """Forget gateways that are silent for a day."""
        async with self.db.write() as conn:
            now_ms = await self.db.clock(conn)
            return (await conn.execute(delete(gateway).where(gateway.c.seen_ms <= now_ms - KEPT_MS))).rowcount
