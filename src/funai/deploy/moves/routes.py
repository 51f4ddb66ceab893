"""The calls of moves: how far a drain is, and an end to it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from funai.base.http.app import ok
from funai.contracts.apps.moves import DrainProgress
from funai.contracts.wire import EntityId, Envelope
from funai.deploy.guards import for_admins
from funai.deploy.services import Services

DrainId = Annotated[EntityId, Query(alias="id")]


router = APIRouter(prefix="/admin/runtime-nodes/drains", tags=["admin"], dependencies=[Depends(for_admins)])
"""``/admin/runtime-nodes/drains/**``, behind X-Admin-Token."""


@router.get("/list")
async def list_drains(core: Services) -> Envelope[list[DrainProgress]]:
    """The last drain of every node that had one."""
    return ok(await core.moves.progress())


@router.get("/info")
async def drain_info(core: Services, drain_id: DrainId) -> Envelope[DrainProgress]:
    return ok(await core.moves.one(drain_id))


@router.post("/cancel")
async def cancel_drain(core: Services, drain_id: DrainId) -> Envelope[DrainProgress]:
    return ok(await core.moves.cancel(drain_id))
