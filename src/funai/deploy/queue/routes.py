"""``/deploy/jobs/**``: the API's calls behind X-DEPLOY-SECRET, the runners' behind X-Runner-Token."""

# pyright: reportUnusedFunction=false
from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from funai.base.http.app import ok_json
from funai.base.http.guards import SecretGuard, only_as
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
from funai.deploy.logs.service import LogService
from funai.deploy.queue.service import JobService

JobId = Annotated[JobRef, Path(description="The number, or the text id of a job that was taken over")]
Limit = Annotated[int, Query(description="1…200; what is out of these bounds counts as the nearest"), clamped(1, 200)]
AppId = Annotated[int, Query(alias="appId", ge=1, le=MAX_ID)]


class NextOffset(Wire):
    """Where the runner goes on in its log."""

    next_offset: int


def api_routes(jobs: JobService, logs: LogService, guard: SecretGuard) -> APIRouter:
    """What else the API asks. Answers are written straight to JSON."""
    router = APIRouter(prefix="/deploy/jobs", tags=["jobs"], dependencies=[Depends(guard)])
    numbered = partial(number, jobs.store.db)

    @router.get("", response_model=Envelope[list[Job]])
    async def latest(limit: Limit = 50) -> Response:
        return ok_json([j.to_wire() for j in await jobs.latest(limit)])

    @router.get("/by-app", response_model=Envelope[list[Job]])
    async def by_app(app_id: AppId, limit: Limit = 50) -> Response:
        return ok_json([j.to_wire() for j in await jobs.by_app(app_id, limit)])

    @router.get("/by-key", response_model=Envelope[Job])
    async def by_key(key: Annotated[str, Query(min_length=1, max_length=200)]) -> Response:
        return ok_json((await jobs.by_key(key)).to_wire())

    @router.get("/{job_id}", response_model=Envelope[Job])
    async def info(job_id: JobId) -> Response:
        return ok_json((await jobs.get(await numbered(job_id))).to_wire())

    @router.post("/{job_id}/cancel", response_model=Envelope[Job])
    async def cancel(job_id: JobId) -> Response:
        return ok_json((await jobs.cancel(await numbered(job_id))).to_wire())

    @router.post("/{job_id}/transition", response_model=Envelope[Job])
    async def transition(job_id: JobId, ask: TransitionJob) -> Response:
        return ok_json((await jobs.transition(await numbered(job_id), ask)).to_wire())

    @router.get("/{job_id}/events", response_model=Envelope[list[JobEvent]])
    async def events(job_id: JobId, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> Response:
        return ok_json([e.to_wire() for e in await jobs.events(await numbered(job_id), limit)])

    @router.get("/{job_id}/logs", response_model=Envelope[LogSlice])
    async def read_log(
        job_id: JobId,
        offset: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
        limit: Annotated[int, Query(ge=16, le=1024 * 1024)] = 256 * 1024,
        wait_seconds: Annotated[float, Query(alias="waitSeconds", ge=0, le=25)] = 0,
        from_end: Annotated[bool, Query(alias="fromEnd")] = False,
    ) -> Response:
        if from_end:
            return ok_json((await logs.tail(await number(logs.store.db, job_id), limit)).to_wire())
        return ok_json((await logs.read(await number(logs.store.db, job_id), offset, limit, wait_seconds)).to_wire())

    return router


def hot_api_routes(jobs: JobService, guard: SecretGuard) -> APIRouter:
    """The API's call of every deploy."""
    router = APIRouter(prefix="/deploy/jobs", tags=["jobs"], dependencies=[Depends(guard)], route_class=HotRoute)

    @router.post("", response_model=Envelope[Job])
    async def create(ask: CreateJob) -> Response:
        return ok_json((await jobs.create(ask)).to_wire())

    return router


def hot_runner_routes(jobs: JobService, guard: SecretGuard) -> APIRouter:
    """A runner's calls of every job: claim, heartbeat, report."""
    router = APIRouter(prefix="/deploy/jobs", tags=["runners"], dependencies=[Depends(guard)], route_class=HotRoute)
    numbered = partial(number, jobs.store.db)

    @router.post("/claim", response_model=Envelope[Job])
    async def claim(ask: ClaimJob, request: Request) -> Response:
        only_as(request, ask.runner_id)
        job = await jobs.claim(ask, request.is_disconnected)
        return ok_json(job.to_wire() if job else None)

    @router.post("/{job_id}/heartbeat", response_model=Envelope[Job])
    async def heartbeat(job_id: JobId, wanted: HeartbeatJob, request: Request) -> Response:
        only_as(request, wanted.runner_id)
        return ok_json((await jobs.heartbeat(await numbered(job_id), wanted)).to_wire())

    @router.post("/{job_id}/report", response_model=Envelope[Job])
    async def report(job_id: JobId, said: ReportJob, request: Request) -> Response:
        only_as(request, said.runner_id)
        return ok_json((await jobs.report(await numbered(job_id), said)).to_wire())

    return router


def runner_routes(logs: LogService, guard: SecretGuard) -> APIRouter:
    """What else a runner asks."""
    router = APIRouter(prefix="/deploy/jobs", tags=["runners"], dependencies=[Depends(guard)])

    @router.post("/{job_id}/logs", response_model=Envelope[NextOffset])
    async def append_log(job_id: JobId, given: AppendLog, request: Request) -> Response:
        only_as(request, given.runner_id)
        return ok_json({"nextOffset": await logs.append(await number(logs.store.db, job_id), given)})

    return router
