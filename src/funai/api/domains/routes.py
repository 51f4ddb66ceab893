"""An app's own domains."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from funai.api.audit.recorder import Audit
from funai.api.edge import PREFIX, AppId, CurrentUser, Services, UserId, answers
from funai.base.http.app import Reply, ok
from funai.contracts.apps.domains import MAX_TYPED, Domain, TypedDomain
from funai.contracts.audit import AuditAction

router = APIRouter(prefix=PREFIX, tags=["domains"])
Typed = Annotated[str, Query(max_length=MAX_TYPED, description="The domain")]


@router.get("/app/domains", summary="An app's own domains, and how far each has come", **answers(list[Domain]))
async def list_domains(core: Services, caller: CurrentUser, app_id: AppId, user_id: UserId = None) -> Reply:
    return ok(await core.domains.list(caller.acting_for(user_id), app_id))


@router.post("/app/domains", summary="Give an app a domain of its own; certificates come by themselves", **answers(Domain))
async def add_domain(
    core: Services, caller: CurrentUser, audit: Audit, app_id: AppId, body: TypedDomain, user_id: UserId = None
) -> Reply:
    owner = caller.acting_for(user_id)
    added = await core.domains.add(owner, app_id, body.name)
    await audit(AuditAction.DOMAIN_ADDED, caller, user_id=owner, app_id=app_id, target=added.name)
    return ok(added)


@router.delete("/app/domains", summary="Take a domain away from an app", **answers(None))
async def remove_domain(
    core: Services, caller: CurrentUser, audit: Audit, app_id: AppId, name: Typed, user_id: UserId = None
) -> Reply:
    owner = caller.acting_for(user_id)
    removed = await core.domains.remove(owner, app_id, name)
    await audit(AuditAction.DOMAIN_REMOVED, caller, user_id=owner, app_id=app_id, target=name)
    return ok(removed)


@router.post("/app/domains/check", summary="Look at a domain's DNS and certificate again now", **answers(Domain))
async def check_domain(core: Services, caller: CurrentUser, app_id: AppId, body: TypedDomain, user_id: UserId = None) -> Reply:
    return ok(await core.domains.check(caller.acting_for(user_id), app_id, body.name))
