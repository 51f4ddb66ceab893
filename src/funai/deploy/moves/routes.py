"""The calls of moves: how far a drain is, and an end to it."""

# pyright: reportUnusedFunction=false
from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from funai.base.http.app import ok
from funai.base.http.guards import Guard
from funai.contracts.apps.moves import DrainProgress
from funai.contracts.wire import EntityId, Envelope
from funai.deploy.moves.service import Moves

DrainId = Annotated[EntityId, Query(alias="id")]


def move_routes(moves: Moves, guard: Guard) -> APIRouter:
    """``/admin/runtime-nodes/drains/**``, behind X-Admin-Token."""
    router = APIRouter(prefix="/admin/runtime-nodes/drains", tags=["admin"], dependencies=[Depends(guard)])

    @router.get("/list")
    async def list_drains() -> Envelope[list[DrainProgress]]:
        """The last drain of every node that had one."""
        return _ok(await moves.progress())

    @router.get("/info")
    async def drain_info(drain_id: DrainId) -> Envelope[DrainProgress]:
        return _ok(await moves.one(drain_id))

    @router.post("/cancel")
    async def cancel_drain(drain_id: DrainId) -> Envelope[DrainProgress]:
        return _ok(await moves.cancel(drain_id))

    return router


def _ok(data: Any) -> Any:
    return ok(data)
