"""A job's log and a container's output."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from funai.api.edge import PREFIX, AppId, CurrentUser, JobId, Services, UserId, answers
from funai.api.logs.streams import SLICE_BYTES, masked
from funai.base.http.app import ok
from funai.base.http.streaming import HeldStream
from funai.base.observability.redact import secrets_of
from funai.contracts.jobs import LogSlice
from funai.contracts.wire import MAX_ID

router = APIRouter(prefix=f"{PREFIX}/deploy", tags=["logs"])
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
Follow = Annotated[bool, Query(description="Stream until it ends")]


@router.get(
    "/job/logs",
    **answers(LogSlice),
    summary="A job's log from a byte offset, or all of it as a stream",
    responses={
        200: {
            "content": {"text/event-stream": {}},
            "description": "A LogSlice, or with follow=true a stream: "
            "`log` events (a LogSlice; the id is the offset to go on from) and one `end` event",
        }
    },
)
async def job_logs(
    core: Services,
    caller: CurrentUser,
    job_id: JobId,
    follow: Follow = False,
    offset: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", description="Where a broken stream goes on")] = None,
    tail: Annotated[int | None, Query(ge=16, le=SLICE_BYTES, description="The last so many bytes, instead of offset")] = None,
) -> Any:
    await core.deploys.info(caller, job_id)
    if tail is not None:
        return ok(await core.streams.job_tail(job_id, tail))
    if not follow:
        return ok(await core.streams.job_slice(job_id, offset))
    # Digits by the ASCII meaning: str.isdigit also accepts ² and its kin, which int refuses.
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19:
        offset = int(last_event_id)
    async with AsyncExitStack() as held:
        held.enter_context(core.seats.seat(caller.id))
        events = core.streams.job_events(job_id, offset)
        return HeldStream(events, held.pop_all(), media_type="text/event-stream; charset=utf-8", headers=_STREAM_HEADERS)


@router.get(
    "/app/logs",
    response_class=StreamingResponse,
    summary="What the app's container prints",
    responses={200: {"content": {"text/plain": {}}, "description": "The output, as text"}},
)
async def app_logs(
    core: Services,
    caller: CurrentUser,
    app_id: AppId,
    user_id: UserId = None,
    follow: Follow = False,
    tail: Annotated[int, Query(ge=0, le=10_000, description="Lines from the end to begin with")] = 200,
) -> Any:
    owner = caller.acting_for(user_id)
    await core.apps.own(owner, app_id)
    env, marked = await core.variables.opened(app_id)
    async with AsyncExitStack() as held:
        if follow:
            held.enter_context(core.seats.seat(caller.id))
        output, kind = await core.streams.app_output(held, owner, app_id, tail, follow=follow)
        shown = masked(output, secrets_of(env, marked))
        return HeldStream(shown, held.pop_all(), media_type=kind, headers=_STREAM_HEADERS)
