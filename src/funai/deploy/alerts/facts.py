"""What Deploy knows by itself of nodes, Runners, queue, registry and domains."""

from __future__ import annotations

from dataclasses import dataclass

from funai.base.db.engine import Database
from funai.deploy.alerts.conditions import Facts
from funai.deploy.alerts.gateways import GatewayBook
from funai.deploy.domains import store as domains
from funai.deploy.placement.operator import Nodes
from funai.deploy.queue.maintenance.gauges import Gauges
from funai.deploy.queue.runners import runners
from funai.deploy.releases.retention import Retention

DAY_MS = 86_400_000
MOST_DOMAINS = 100


@dataclass(frozen=True)
class FactFinder:
    """``instance`` names this process among several; ``days`` is how far ahead certificates are looked at."""

    db: Database
    nodes: Nodes
    gauges: Gauges
    retention: Retention | None
    gateways: GatewayBook
    runner_stale_seconds: int
    instance: str
    days: int

    async def look(self) -> Facts:
        return Facts(
            nodes=await self.nodes.list(),
            runners=await runners(self.db, self.runner_stale_seconds),
            oldest_seconds=await self.gauges.oldest_seconds(),
            retention_failing=self.retention is not None and self.retention.failed,
            ending=await self._ending(),
            gateways=await self.gateways.states(),
            instance=self.instance,
        )

    async def _ending(self) -> list[tuple[str, float]]:
        """Domains that are served, and the days that their certificates have left, the soonest first."""
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            soon = await domains.ending(conn, now_ms + self.days * DAY_MS, MOST_DOMAINS)
        return [(name, (ends_ms - now_ms) / DAY_MS) for name, ends_ms in soon]
