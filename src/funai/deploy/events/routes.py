"""``/deploy/events``: the API follows what happens to jobs, behind X-DEPLOY-SECRET."""

# pyright: reportUnusedFunction=false
from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from funai.base.http.app import ok_json
from funai.base.http.guards import SecretGuard
from funai.contracts.jobs import EventSlice
from funai.contracts.wire import MAX_ID, Envelope
from funai.deploy.events.feed import EventFeed


def event_routes(feed: EventFeed, guard: SecretGuard) -> APIRouter:
    router = APIRouter(prefix="/deploy/events", tags=["jobs"], dependencies=[Depends(guard)])

    @router.get("", response_model=Envelope[EventSlice])
    async def events(
        after: Annotated[int | None, Query(ge=0, le=MAX_ID, description="A cursor; absent: where the events end now")] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 200,
        wait_seconds: Annotated[float, Query(alias="waitSeconds", ge=0, le=25)] = 0,
    ) -> Response:
        return ok_json((await feed.after(after, limit, wait_seconds)).to_wire())

    return router
