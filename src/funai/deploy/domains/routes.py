"""``/deploy/domains/**`` for the API, and the nodes' call ``/internal/runtime-nodes/domains``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from funai.base.http.app import ok
from funai.base.http.guards import only_as
from funai.contracts.apps.domains import AddDomain, Domain, DomainRoute, DomainTarget, NameApp, NodeDomains
from funai.contracts.wire import MAX_ID, Envelope
from funai.deploy.guards import for_api, for_nodes
from funai.deploy.services import Services

AppId = Annotated[int, Query(alias="appId", ge=1, le=MAX_ID)]


router = APIRouter(prefix="/deploy/domains", tags=["domains"], dependencies=[Depends(for_api)])
"""Behind X-DEPLOY-SECRET."""


@router.get("")
async def list_domains(core: Services, app_id: AppId) -> Envelope[list[Domain]]:
    return ok(await core.domains.list(app_id))


@router.post("")
async def add(core: Services, asked: AddDomain) -> Envelope[Domain]:
    return ok(await core.domains.add(asked))


@router.post("/remove")
async def remove(core: Services, target: DomainTarget) -> Envelope[None]:
    return ok(await core.domains.remove(target))


@router.post("/check")
async def check(core: Services, target: DomainTarget) -> Envelope[Domain]:
    return ok(await core.domains.check(target))


@router.post("/alias")
async def alias(core: Services, asked: NameApp) -> Envelope[str | None]:
    return ok(await core.domains.name(asked))


of_nodes = APIRouter(prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(for_nodes)])
"""Behind X-RT-Node-Token."""


@of_nodes.post("/domains")
async def exchange(core: Services, said: NodeDomains, request: Request) -> Envelope[list[DomainRoute]]:
    only_as(request, said.node_name)
    return ok(await core.domains.exchange(said))
