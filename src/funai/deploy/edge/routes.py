"""``/internal/routes`` for the edge, ``/internal/gateway/node`` for an operator's proxy; both behind X-Edge-Token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from funai.base.http.app import ok_json
from funai.contracts.apps.domains import MAX_DOMAIN
from funai.contracts.apps.edge import MAX_ENTRIES, MAX_WAIT_SECONDS, UPSTREAM_HEADER, RouteChanges
from funai.contracts.wire import MAX_ID, Envelope, clamped
from funai.deploy.guards import for_edges
from funai.deploy.services import Services

router = APIRouter(prefix="/internal", tags=["edge"], dependencies=[Depends(for_edges)])


@router.get("/routes", response_model=Envelope[RouteChanges])
async def routes(
    core: Services,
    since: Annotated[int, Query(ge=0, le=MAX_ID, description="A revision; 0: a snapshot")] = 0,
    wait: Annotated[float, Query(description="Seconds to wait for a change"), clamped(0, MAX_WAIT_SECONDS)] = 0,
    page: Annotated[str, Query(max_length=MAX_DOMAIN + 10, description="`nextPage` of a snapshot")] = "",
    limit: Annotated[int, Query(), clamped(1, MAX_ENTRIES)] = MAX_ENTRIES,
) -> Response:
    return ok_json((await core.routes.after(since, wait, page=page, limit=limit)).to_wire())


@router.get("/gateway/node", status_code=204)
async def node(core: Services, app_id: Annotated[int, Query(alias="appId", ge=1, le=MAX_ID)]) -> Response:
    """Answers 204 with the node's address in X-Runtime-Upstream, 404 for an unknown app, 503 without an address."""
    found = await core.routes.node_of(app_id)
    return Response(status_code=204, headers={UPSTREAM_HEADER: found.url or "", "Cache-Control": "max-age=1"})
