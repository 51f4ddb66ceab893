"""``/deploy/events``: the API follows what happens to jobs, behind X-DEPLOY-SECRET."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from funai.base.http.app import ok_json
from funai.contracts.jobs import EventSlice
from funai.contracts.wire import MAX_ID, Envelope
from funai.deploy.guards import for_api
from funai.deploy.services import Services

router = APIRouter(prefix="/deploy/events", tags=["jobs"], dependencies=[Depends(for_api)])


@router.get("", response_model=Envelope[EventSlice])
async def events(
    core: Services,
    after: Annotated[int | None, Query(ge=0, le=MAX_ID, description="A cursor; absent: where the events end now")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    wait_seconds: Annotated[float, Query(alias="waitSeconds", ge=0, le=25)] = 0,
) -> Response:
    return ok_json((await core.feed.after(after, limit, wait_seconds)).to_wire())
