"""``/deploy/domains/**`` for the API, and the nodes' call ``/internal/runtime-nodes/domains``."""

# pyright: reportUnusedFunction=false
from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from funai.base.http.app import ok
from funai.base.http.guards import Guard, only_as
from funai.contracts.apps.domains import AddDomain, Domain, DomainRoute, DomainTarget, NameApp, NodeDomains
from funai.contracts.wire import MAX_ID, Envelope
from funai.deploy.domains.service import DomainBook

AppId = Annotated[int, Query(alias="appId", ge=1, le=MAX_ID)]


def domain_routes(book: DomainBook, guard: Guard) -> APIRouter:
    """Behind X-DEPLOY-SECRET."""
    router = APIRouter(prefix="/deploy/domains", tags=["domains"], dependencies=[Depends(guard)])

    @router.get("")
    async def list_domains(app_id: AppId) -> Envelope[list[Domain]]:
        return _ok(await book.list(app_id))

    @router.post("")
    async def add(asked: AddDomain) -> Envelope[Domain]:
        return _ok(await book.add(asked))

    @router.post("/remove")
    async def remove(target: DomainTarget) -> Envelope[None]:
        return _ok(await book.remove(target))

    @router.post("/check")
    async def check(target: DomainTarget) -> Envelope[Domain]:
        return _ok(await book.check(target))

    @router.post("/alias")
    async def alias(asked: NameApp) -> Envelope[str | None]:
        return _ok(await book.name(asked))

    return router


def node_domain_routes(book: DomainBook, guard: Guard) -> APIRouter:
    """Behind X-RT-Node-Token."""
    router = APIRouter(prefix="/internal/runtime-nodes", tags=["runtime-nodes"], dependencies=[Depends(guard)])

    @router.post("/domains")
    async def exchange(said: NodeDomains, request: Request) -> Envelope[list[DomainRoute]]:
        only_as(request, said.node_name)
        return _ok(await book.exchange(said))

    return router


def _ok(data: Any) -> Any:
    return ok(data)
