"""``/deploy/jobs/**``: the API's calls behind X-DEPLOY-SECRET, the runners' behind X-Runner-Token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from funai.base.http.app import ok_json
from funai.base.http.guards import only_as
from funai.base.http.hot_route import HotRoute
from funai.contracts.compat import JobRef
from funai.contracts.jobs import (
    AppendLog,
    ClaimJob,
    CreateJob,
    HeartbeatJob,
    Job,
    JobEvent,
    LogSlice,
    ReportJob,
    TransitionJob,
)
from funai.contracts.wire import MAX_ID, Envelope, Wire, clamped
from funai.deploy.compat.jobs import number
from funai.deploy.guards import for_api, for_runners
from funai.deploy.services import Services, core_of

JobId = Annotated[JobRef, Path(description="The number, or the text id of a job that was taken over")]
Limit = Annotated[int, Query(description="1…200; what is out of these bounds counts as the nearest"), clamped(1, 200)]
AppId = Annotated[int, Query(alias="appId", ge=1, le=MAX_ID)]


class NextOffset(Wire):
    """Where the runner goes on in its log."""

    next_offset: int


router = APIRouter(prefix="/deploy/jobs", tags=["jobs"], dependencies=[Depends(for_api)])
"""What else the API asks. Answers are written straight to JSON."""


@router.get("", response_model=Envelope[list[Job]])
async def latest(core: Services, limit: Limit = 50) -> Response:
    return ok_json([j.to_wire() for j in await core.jobs.latest(limit)])


@router.get("/by-app", response_model=Envelope[list[Job]])
async def by_app(core: Services, app_id: AppId, limit: Limit = 50) -> Response:
    return ok_json([j.to_wire() for j in await core.jobs.by_app(app_id, limit)])


@router.get("/by-key", response_model=Envelope[Job])
async def by_key(core: Services, key: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:
    return ok_json((await core.jobs.by_key(key)).to_wire())


@router.get("/{job_id}", response_model=Envelope[Job])
async def info(core: Services, job_id: JobId) -> Response:
    return ok_json((await core.jobs.get(await number(core.db, job_id))).to_wire())


@router.post("/{job_id}/cancel", response_model=Envelope[Job])
async def cancel(core: Services, job_id: JobId) -> Response:
    return ok_json((await core.jobs.cancel(await number(core.db, job_id))).to_wire())


@router.post("/{job_id}/transition", response_model=Envelope[Job])
async def transition(core: Services, job_id: JobId, ask: TransitionJob) -> Response:
    return ok_json((await core.jobs.transition(await number(core.db, job_id), ask)).to_wire())


@router.get("/{job_id}/events", response_model=Envelope[list[JobEvent]])
async def events(core: Services, job_id: JobId, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> Response:
    return ok_json([e.to_wire() for e in await core.jobs.events(await number(core.db, job_id), limit)])


@router.get("/{job_id}/logs", response_model=Envelope[LogSlice])
async def read_log(
    core: Services,
    job_id: JobId,
    offset: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
    limit: Annotated[int, Query(ge=16, le=1024 * 1024)] = 256 * 1024,
    wait_seconds: Annotated[float, Query(alias="waitSeconds", ge=0, le=25)] = 0,
    from_end: Annotated[bool, Query(alias="fromEnd")] = False,
) -> Response:
    if from_end:
        return ok_json((await core.logs.tail(await number(core.db, job_id), limit)).to_wire())
    return ok_json((await core.logs.read(await number(core.db, job_id), offset, limit, wait_seconds)).to_wire())


creation = APIRouter(prefix="/deploy/jobs", tags=["jobs"], dependencies=[Depends(for_api)], route_class=HotRoute)
"""The API's call of every deploy."""


@creation.post("", response_model=Envelope[Job])
async def create(ask: CreateJob, request: Request) -> Response:
    return ok_json((await core_of(request).jobs.create(ask)).to_wire())


running = APIRouter(prefix="/deploy/jobs", tags=["runners"], dependencies=[Depends(for_runners)], route_class=HotRoute)
"""A runner's calls of every job: claim, heartbeat, report."""


@running.post("/claim", response_model=Envelope[Job])
async def claim(ask: ClaimJob, request: Request) -> Response:
    only_as(request, ask.runner_id)
    job = await core_of(request).jobs.claim(ask, request.is_disconnected)
    return ok_json(job.to_wire() if job else None)


@running.post("/{job_id}/heartbeat", response_model=Envelope[Job])
async def heartbeat(job_id: JobId, wanted: HeartbeatJob, request: Request) -> Response:
    only_as(request, wanted.runner_id)
    core = core_of(request)
    return ok_json((await core.jobs.heartbeat(await number(core.db, job_id), wanted)).to_wire())


@running.post("/{job_id}/report", response_model=Envelope[Job])
async def report(job_id: JobId, said: ReportJob, request: Request) -> Response:
    only_as(request, said.runner_id)
    core = core_of(request)
    return ok_json((await core.jobs.report(await number(core.db, job_id), said)).to_wire())


of_runners = APIRouter(prefix="/deploy/jobs", tags=["runners"], dependencies=[Depends(for_runners)])
"""What else a runner asks."""


@of_runners.post("/{job_id}/logs", response_model=Envelope[NextOffset])
async def append_log(core: Services, job_id: JobId, given: AppendLog, request: Request) -> Response:
    only_as(request, given.runner_id)
    return ok_json({"nextOffset": await core.logs.append(await number(core.db, job_id), given)})
