"""The calls of placement: heartbeats of nodes, and the operator's calls."""

# pyright: reportUnusedFunction=false
from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from funai.base.db.engine import Database
from funai.base.http.app import ok, ok_json
from funai.base.http.guards import Guard, only_as
from funai.base.http.hot_route import HotRoute
from funai.contracts.nodes import (
    DrainCount,
    DrainNode,
    DrainReport,
    NodeHeartbeat,
    NodeHeartbeatAnswer,
    NodeRemoved,
    Placement,
    Placements,
    ReassignApp,
    RunnerInfo,
    RuntimeNode,
    UpsertNode,
)
from funai.contracts.wire import MAX_ID, Envelope, clamped
from funai.deploy.placement.heartbeats import Heartbeats
from funai.deploy.placement.operator import Nodes
from funai.deploy.placement.runners import runners


def heartbeat_routes(heartbeats: Heartbeats, guard: Guard) -> APIRouter:
    """``/internal/runtime-nodes/**``, behind X-RT-Node-Token."""
    router = APIRouter(
        prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(guard)], route_class=HotRoute
    )

    @router.post("/heartbeat", response_model=Envelope[NodeHeartbeatAnswer])
    async def heartbeat(given: NodeHeartbeat, request: Request) -> Response:
        only_as(request, given.node_name)
        return ok_json((await heartbeats.take(given)).to_wire())

    return router


def admin_routes(nodes: Nodes, db: Database, runner_stale_seconds: int, guard: Guard) -> APIRouter:
    """``/admin/runtime-nodes/**`` and ``/admin/runners/**``, behind X-Admin-Token."""

    router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(guard)])

    @router.get("/runtime-nodes/list")
    async def list_nodes() -> Envelope[list[RuntimeNode]]:
        return _ok(await nodes.list())

    @router.post("/runtime-nodes/upsert")
    async def upsert(node: UpsertNode) -> Envelope[RuntimeNode]:
        return _ok(await nodes.upsert(node))

    @router.post("/runtime-nodes/set-enabled")
    async def set_enabled(
        name: Annotated[str, Query(max_length=128)], enabled: bool, full: bool = False
    ) -> Envelope[RuntimeNode | str]:
        """Answers ``enabled`` or ``disabled``, which older callers read; ``full=true``: the node."""
        node = await nodes.set_enabled(name, enabled)
        return _ok(node if full else "enabled" if enabled else "disabled")

    @router.post("/runtime-nodes/remove")
    async def remove(
        name: Annotated[str, Query(max_length=128)], force: bool = False, empty: bool = False
    ) -> Envelope[NodeRemoved]:
        """``empty=true`` refuses while apps are placed there."""
        return _ok(await nodes.remove(name, force=force, empty=empty))

    @router.get("/runtime-nodes/placements")
    async def placements(
        node_id: Annotated[int | None, Query(alias="nodeId", ge=1, le=MAX_ID)] = None,
        offset: Annotated[int, Query(), clamped(0, MAX_ID)] = 0,
        limit: Annotated[int, Query(), clamped(1, 2_000)] = 200,
    ) -> Envelope[Placements]:
        return _ok(await nodes.page(node_id, offset, limit))

    @router.post("/runtime-nodes/reassign")
    async def reassign(app: ReassignApp, full: bool = False) -> Envelope[Placement | str]:
        """Answers ``ok``, which older callers read; ``full=true``: the placement."""
        placed = await nodes.reassign(app)
        return _ok(placed if full else "ok")

    @router.post("/runtime-nodes/drain")
    async def drain(node: DrainNode, full: bool = False) -> Envelope[DrainReport | DrainCount]:
        """Answers how many apps moved or are moving, which older callers read; ``full=true``: which."""
        report = await nodes.drain(node)
        return _ok(report if full else DrainCount.of(report))

    @router.get("/runners/list")
    async def list_runners() -> Envelope[list[RunnerInfo]]:
        return _ok(await runners(db, runner_stale_seconds))

    return router


def _ok(data: Any) -> Any:
    return ok(data)
