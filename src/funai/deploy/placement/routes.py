"""The calls of placement: heartbeats of nodes, and the operator's calls."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from funai.base.http.app import ok, ok_json
from funai.base.http.guards import only_as
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
from funai.deploy.guards import for_admins, for_nodes
from funai.deploy.queue.runners import runners
from funai.deploy.services import Services, core_of

heartbeats = APIRouter(
    prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(for_nodes)], route_class=HotRoute
)
"""``/internal/runtime-nodes/**``, behind X-RT-Node-Token."""


@heartbeats.post("/heartbeat", response_model=Envelope[NodeHeartbeatAnswer])
async def heartbeat(given: NodeHeartbeat, request: Request) -> Response:
    only_as(request, given.node_name)
    return ok_json((await core_of(request).heartbeats.take(given)).to_wire())


router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(for_admins)])
"""``/admin/runtime-nodes/**`` and ``/admin/runners/**``, behind X-Admin-Token."""


@router.get("/runtime-nodes/list")
async def list_nodes(core: Services) -> Envelope[list[RuntimeNode]]:
    return ok(await core.nodes.list())


@router.post("/runtime-nodes/upsert")
async def upsert(core: Services, node: UpsertNode) -> Envelope[RuntimeNode]:
    return ok(await core.nodes.upsert(node))


@router.post("/runtime-nodes/set-enabled")
async def set_enabled(
    core: Services, name: Annotated[str, Query(max_length=128)], enabled: bool, full: bool = False
) -> Envelope[RuntimeNode | str]:
    """Answers ``enabled`` or ``disabled``, which older callers read; ``full=true``: the node."""
    node = await core.nodes.set_enabled(name, enabled)
    return ok(node if full else "enabled" if enabled else "disabled")


@router.post("/runtime-nodes/remove")
async def remove(
    core: Services, name: Annotated[str, Query(max_length=128)], force: bool = False, empty: bool = False
) -> Envelope[NodeRemoved]:
    """``empty=true`` refuses while apps are placed there."""
    return ok(await core.nodes.remove(name, force=force, empty=empty))


@router.get("/runtime-nodes/placements")
async def placements(
    core: Services,
    node_id: Annotated[int | None, Query(alias="nodeId", ge=1, le=MAX_ID)] = None,
    offset: Annotated[int, Query(), clamped(0, MAX_ID)] = 0,
    limit: Annotated[int, Query(), clamped(1, 2_000)] = 200,
) -> Envelope[Placements]:
    return ok(await core.nodes.page(node_id, offset, limit))


@router.post("/runtime-nodes/reassign")
async def reassign(core: Services, app: ReassignApp, full: bool = False) -> Envelope[Placement | str]:
    """Answers ``ok``, which older callers read; ``full=true``: the placement."""
    placed = await core.nodes.reassign(app)
    return ok(placed if full else "ok")


@router.post("/runtime-nodes/drain")
async def drain(core: Services, node: DrainNode, full: bool = False) -> Envelope[DrainReport | DrainCount]:
    """Answers how many apps moved or are moving, which older callers read; ``full=true``: which."""
    report = await core.nodes.drain(node)
    return ok(report if full else DrainCount.of(report))


@router.get("/runners/list")
async def list_runners(core: Services) -> Envelope[list[RunnerInfo]]:
    return ok(await runners(core.db, core.settings.runner_stale_seconds))
