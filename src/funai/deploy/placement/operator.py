"""What an operator does with nodes: look, add, enable, move apps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.errors import BadInput, Conflict, NotFound
from funai.contracts.nodes import (
    CredentialKind,
    DrainNode,
    DrainReport,
    MovedApp,
    NodeRemoved,
    PlacedApp,
    Placement,
    Placements,
    ReassignApp,
    RuntimeNode,
    SkippedApp,
    UpsertNode,
)
from funai.contracts.reasons import Reason, WaitReason
from funai.contracts.states import NodeHealth
from funai.contracts.wire import from_epoch_ms
from funai.deploy.access.credentials import forget
from funai.deploy.placement import policy, relocate, stale, store
from funai.deploy.placement.heartbeats import gained
from funai.deploy.placement.metrics import NodeMetrics
from funai.deploy.placement.policy import Node, Rules
from funai.deploy.placement.ports import Moves
from funai.deploy.queue.ports import Queue
from funai.deploy.queue.runners import runners
from funai.i18n.reasons import Words

_SHOWN = (
    "id",
    "name",
    "agent_base_url",
    "gateway_base_url",
    "apps_url",
    "problem",
    "weight",
    "engine",
    "disk_free_bytes",
    "container_count",
    "memory_bytes",
    "memory_free_bytes",
    "cpu_pct",
    "agent_version",
)
DRAIN_SECONDS = 6.0
"""Less than the API waits for Deploy (deploy-proxy.read-timeout-ms, 8 s)."""
MAX_SKIPPED = 1_000
"""A drain that found so many apps it can't move looks no further."""


class _ByJobError(Exception):
    """The app runs: it is moved by a job."""


class Nodes:
    """The operator's view. An app that runs moves by a job; of any other only the next deploy goes elsewhere.

    ``held`` are ids of silent nodes whose apps stay where they are.
    """

    def __init__(
        self,
        db: Database,
        rules: Rules,
        queue: Queue,
        moves: Moves | None = None,
        held: Callable[[], Collection[int]] = frozenset,
    ) -> None:
        self.db, self.rules, self.queue, self.moves, self.held = db, rules, queue, moves, held
        self._named = store.NodeLock(db.now_ms())

    async def list(self) -> list[RuntimeNode]:
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            rows = await store.listed(conn)
            lodgers = await store.count_lodgers(conn)
        drains = {d.source_node_id: d for d in await self.moves.progress()} if self.moves else {}
        held = self.held()
        return [
            RuntimeNode(
                **{name: getattr(row, name) for name in _SHOWN},
                node_id=known.id,
                enabled=known.enabled,
                health=policy.health(known, now_ms, self.rules),
                last_heartbeat_at=from_epoch_ms(known.heartbeat_ms) if known.heartbeat_ms else None,
                last_heartbeat_at_ms=known.heartbeat_ms or None,
                disk_free_pct=known.disk_free_pct,
                placements=lodgers.get(known.id, 0),
                crash_looping=json.loads(row.crash_looping_json or "[]"),
                drain=drains.get(known.id),
                held=known.id in held,
            )
            for known, row in rows
        ]

    async def measure(self, metrics: NodeMetrics, runner_stale_seconds: int) -> None:
        """Refresh the figures that an operator watches."""
        metrics.show(await self.list())
        metrics.show_runners(await runners(self.db, runner_stale_seconds))

    async def upsert(self, given: UpsertNode) -> RuntimeNode:
        """Make the node known, or change what is given of it; without a heartbeat it stays STALE."""

        async def work(conn: AsyncConnection) -> bool:
            named = (await self._named(conn, [given.name]))[given.name]
            await store.amend(conn, named.node.id, given, named.now_ms)
            after = await store.node(conn, named.node.id)
            assert after is not None
            return gained(named.node, after, named.now_ms, self.rules)

        if await self.db.retrying(work):
            await self.queue.nodes_changed()
        return next(n for n in await self.list() if n.name == given.name)

    async def set_enabled(self, name: str, enabled: bool) -> RuntimeNode:
        """Raises NotFound(NODE_NOT_FOUND)."""
        if not any(n.name == name for n in await self.list()):
            raise NotFound(Reason.NODE_NOT_FOUND)
        return await self.upsert(UpsertNode(name=name, enabled=enabled))

    async def remove(self, name: str, *, force: bool = False, empty: bool = False) -> NodeRemoved:
        """Forget a node that is gone for good, with all that is placed there and its own credentials.

        Its apps count as stopped; their next deploy chooses another node. Raises NotFound(NODE_NOT_FOUND),
        Conflict(NODE_ALIVE) for one that still sends heartbeats (it would be back with the next), unless ``force``;
        Conflict(NODE_HAS_APPS) with ``empty`` while apps are placed there.
        """

        async def work(conn: AsyncConnection) -> NodeRemoved:
            now_ms = await self.db.clock(conn)
            found = await store.by_name(conn, name)
            if found is None:
                raise NotFound(Reason.NODE_NOT_FOUND)
            if not force and policy.health(found, now_ms, self.rules) is not NodeHealth.STALE:
                raise Conflict(Reason.NODE_ALIVE, node=name)
            apps = await store.remove_node(conn, found.id, now_ms)
            if empty and apps:
                raise Conflict(Reason.NODE_HAS_APPS, node=name, count=len(apps), node_id=found.id)
            await stale.forget_node(conn, found.id)
            await forget(conn, CredentialKind.NODE, name)
            return NodeRemoved(node_id=found.id, name=name, apps=apps)

        removed = await self.db.retrying(work)
        log.get("nodes").warning("node.removed", node=name, apps=len(removed.apps))
        return removed

    async def placements(self, node_id: int | None, offset: int, limit: int) -> list[Placement]:
        """Apps and their nodes by app id; all nodes when ``node_id`` is None."""
        async with self.db.read() as conn:
            rows = await store.placements(conn, node_id, offset, limit)
        return [_shown(r) for r in rows]

    async def page(self, node_id: int | None, offset: int, limit: int) -> Placements:
        """A page of ``placements``, with how many there are."""
        async with self.db.read() as conn:
            by_node = await store.count_lodgers(conn)
        total = by_node.get(node_id, 0) if node_id is not None else sum(by_node.values())
        items = [
            PlacedApp(
                app_id=str(p.app_id),
                node_id=p.node_id,
                last_active_at=round(p.last_active_at.timestamp() * 1000) if p.last_active_at else None,
                created_at=p.created_at,
            )
            for p in await self.placements(node_id, offset, limit)
        ]
        return Placements(node_id=node_id, total=total, items=items)

    async def reassign(self, given: ReassignApp) -> Placement:
        """Give the app another node, or its first. One that runs begins to move, and belongs there once it serves there.

        Raises NotFound(NODE_NOT_FOUND), Conflict(NODE_NOT_ELIGIBLE), Conflict(APP_DEPLOYING) while a runner has its job.
        """
        async with self.db.read() as conn:
            await self._target(conn, given.target_node_id, await self.db.clock(conn))
            home = await relocate.node_of(conn, given.app_id)
        move = None
        if self.moves is not None and home is not None and home != given.target_node_id:
            move = await self.moves.reassign(given.app_id, home, given.target_node_id)
        if move is None:
            await self._place(given)
        async with self.db.read() as conn:
            rows = await store.placements(conn, None, 0, 1, app_id=given.app_id)
        if not rows:
            raise NotFound(Reason.APP_NOT_FOUND)  # purged in this very moment
        shown = _shown(rows[0])
        shown.move = move
        return shown

    async def _place(self, given: ReassignApp) -> None:
        async def work(conn: AsyncConnection) -> None:
            now_ms = await self.db.clock(conn)
            target = await self._target(conn, given.target_node_id, now_ms)
            await relocate.place_elsewhere(conn, given.app_id, target, now_ms, self.rules)

        await self.db.retrying(work)
        await self.queue.nodes_changed()

    async def drain(self, given: DrainNode) -> DrainReport:
        """Move up to ``limit`` apps off a node: to the target, or each to where a new app would go.

        Running apps are left to moves, one after the other: ``moving``. Every other is its own transaction. Ends after a few
        seconds, before its caller has given up: ``remaining`` tells. One whose job a runner has is skipped and doesn't count;
        call again when it ended. Disable the node first, or new apps keep coming.
        Raises NotFound(NODE_NOT_FOUND), Conflict(NODE_NOT_ELIGIBLE).
        """
        if given.source_node_id == given.target_node_id:
            raise BadInput(
                Reason.BAD_INPUT, detail=Words("targetNodeId 与 sourceNodeId 相同", "targetNodeId is the source itself")
            )
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            if await store.node(conn, given.source_node_id) is None:
                raise NotFound(Reason.NODE_NOT_FOUND)
            if given.target_node_id is not None:
                await self._target(conn, given.target_node_id, now_ms)
        report = DrainReport(source_node_id=given.source_node_id)
        after, end = 0, time.monotonic() + DRAIN_SECONDS
        while (
            time.monotonic() < end
            and (left := _left(report, given.limit))
            and (apps := await self._lodgers(given.source_node_id, after, left))
        ):
            after = apps[-1]
            for app_id in apps:
                if time.monotonic() < end:
                    await self._drain_into(report, app_id, given)
        if self.moves is not None and report.moving:
            report.drain_id = await self.moves.drain(given.source_node_id, given.target_node_id, report.moving)
        async with self.db.read() as conn:
            report.remaining = (await store.count_lodgers(conn)).get(given.source_node_id, 0)
        if report.moved:
            await self.queue.nodes_changed()
        return report

    async def _lodgers(self, node_id: int, after: int, limit: int) -> list[int]:
        async with self.db.read() as conn:
            return await store.lodgers(conn, node_id, after, limit)

    async def _drain_into(self, report: DrainReport, app_id: int, given: DrainNode) -> None:
        try:
            moved = await self._drain_one(app_id, given)
        except _ByJobError:
            report.moving = [*(report.moving or []), app_id]
            return
        except Conflict as e:
            report.skipped.append(SkippedApp(app_id=app_id, reason=e.reason))
            return
        if moved is not None:
            report.moved.append(MovedApp(app_id=app_id, target_node_id=moved))

    async def _drain_one(self, app_id: int, given: DrainNode) -> int | None:
        """The app's new node, or None when it left by itself meanwhile. Raises Conflict with why it stays."""

        async def work(conn: AsyncConnection) -> int | None:
            now_ms = await self.db.clock(conn)
            lives = await store.home(conn, app_id, None, now_ms)
            if lives is None or lives.node_id != given.source_node_id:
                return None
            if given.target_node_id is not None:
                target = await self._target(conn, given.target_node_id, now_ms)
            else:
                others = [n for n in await store.nodes(conn) if n.id != given.source_node_id]
                choice = policy.choose(app_id, others, now_ms, self.rules)
                if isinstance(choice, WaitReason):
                    raise Conflict(choice.value)
                target = choice
            if self.moves is not None and await self.moves.by_job(conn, app_id):
                raise _ByJobError
            await relocate.place_elsewhere(conn, app_id, target, now_ms, self.rules)
            return target.id

        return await self.db.retrying(work)

    async def _target(self, conn: AsyncConnection, node_id: int, now_ms: int) -> Node:
        target = await store.node(conn, node_id)
        if target is None:
            raise NotFound(Reason.NODE_NOT_FOUND)
        if not policy.takes_new(target, now_ms, self.rules):
            word = policy.health(target, now_ms, self.rules).value if target.reachable else Words("缺少地址", "no addresses")
            raise Conflict(Reason.NODE_NOT_ELIGIBLE, health=word)
        return target


def _left(report: DrainReport, limit: int) -> int:
    """How many more apps to look at. One that is being deployed is passed over; that no node takes one holds for all."""
    if len(report.skipped) >= MAX_SKIPPED:
        return 0
    refused = sum(1 for skipped in report.skipped if skipped.reason != Reason.APP_DEPLOYING)
    return max(0, limit - len(report.moved) - len(report.moving or ()) - refused)


def _shown(row: dict[str, Any]) -> Placement:
    return Placement(
        app_id=row["app_id"],
        node_id=row["node_id"],
        last_active_at=from_epoch_ms(row["last_active_at"]) if row["last_active_at"] else None,
        created_at=from_epoch_ms(row["created_ms"]) if row["created_ms"] else row["create_time"],
    )
