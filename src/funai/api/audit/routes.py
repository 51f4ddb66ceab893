"""The audit trail for an admin."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from funai.api.audit.trail import Filter
from funai.api.edge import PREFIX, Admin, Services, answers
from funai.base.http.app import Reply, ok
from funai.contracts.audit import AuditAction, AuditEntry
from funai.contracts.wire import MAX_ID, clamped

router = APIRouter(prefix=f"{PREFIX}/admin/audit", tags=["admin"])


@router.get("/list", summary="Who did what, newest first", **answers(list[AuditEntry]))
async def list_entries(
    core: Services,
    _: Admin,
    before: Annotated[int | None, Query(ge=1, le=MAX_ID, description="The last id of the page before")] = None,
    limit: Annotated[int, Query(), clamped(1, 500)] = 100,
    action: AuditAction | None = None,
    actor: Annotated[str | None, Query(max_length=64, description="A user's name")] = None,
    app_id: Annotated[int | None, Query(alias="appId", ge=1, le=MAX_ID)] = None,
) -> Reply:
    return ok(await core.audit.page(Filter(action, actor, app_id), before, limit))
