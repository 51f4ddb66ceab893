"""Watches for nodes that are silent for longer than the grace, and has their apps started elsewhere."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.apps.moves import DrainKind
from funai.contracts.errors import FunaiError
from funai.deploy.moves import policy, store
from funai.deploy.moves.policy import Lost
from funai.deploy.moves.service import Moves
from funai.deploy.placement import store as nodes
from funai.deploy.placement.policy import Node
from funai.deploy.queue.maintenance.service import Maintenance

BATCH = 500
GAP_MS = 15_000
"""Between two looks: a longer one means that heartbeats may not have been written either."""


class NodeWatch(Maintenance):
    """A silence counts only from when this service looks without a gap: while it, or its database, was away, no heartbeat
    was written. ``held``: ids of silent nodes whose apps stay, since too many are silent."""

    name = "deploy.nodes"

    def __init__(
        self, db: Database, moves: Moves, grace_seconds: int, metrics: CollectorRegistry, *, every: float = 2.0
    ) -> None:
        self.db, self.moves, self.grace_ms, self.every = db, moves, grace_seconds * 1000, every
        self.held: frozenset[int] = frozenset()
        self._since_ms: int | None = None
        self._looked_ms: int | None = None
        self._gauge = Gauge(
            "funai_deploy_nodes_held", "Silent nodes whose apps stay, since too many nodes are silent", registry=metrics
        )

    async def run_once(self) -> None:
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            known = await nodes.nodes(conn)
            apps = await nodes.count_lodgers(conn)
            open_ = await store.evacuating(conn)
        found = policy.lost(known, apps, now_ms, self._listening_since(now_ms), self.grace_ms)
        self._hold(found)
        for node in found.nodes:
            if node.id not in open_:
                await self._evacuate(node)
        back = {n.id for n in known if n.heartbeat_ms is not None and now_ms - n.heartbeat_ms < self.grace_ms}
        for node_id, drain_id in open_.items():
            if node_id in back:
                await self.moves.cancel(drain_id, "NODE_BACK")

    def listens_from(self, now_ms: int) -> None:
        """Heartbeats are written from then on, and without a gap until now."""
        self._since_ms = now_ms

    def _listening_since(self, now_ms: int) -> int:
        if self._since_ms is None or (self._looked_ms is not None and not 0 <= now_ms - self._looked_ms <= GAP_MS):
            self.listens_from(now_ms)
        self._looked_ms = now_ms
        return self._since_ms or now_ms

    def _hold(self, found: Lost) -> None:
        held = frozenset(n.id for n in found.held)
        if held - self.held:
            log.get("nodes").error("nodes.held", nodes=sorted(n.name for n in found.held), why="more than half are silent")
        self.held = held
        self._gauge.set(len(held))

    async def _evacuate(self, node: Node) -> None:
        """Of an app that can't be moved the drain tells; one that the node gets back meanwhile stays."""
        after, apps = 0, list[int]()
        async with self.db.read() as conn:
            while some := await nodes.lodgers(conn, node.id, after, BATCH):
                apps += some
                after = some[-1]
        try:
            await self.moves.drain(node.id, None, apps, DrainKind.EVACUATION)
        except FunaiError as e:
            log.get("nodes").warning("node.not_evacuated", node=node.name, reason=e.reason)
            return
        log.get("nodes").error("node.lost", node=node.name, apps=len(apps), silent_seconds=self.grace_ms // 1000)
