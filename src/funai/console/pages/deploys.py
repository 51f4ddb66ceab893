"""An app's deploys, one deploy with its live log, and releases: compare, roll back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Form, Header, Query
from starlette.responses import Response, StreamingResponse

from funai.console import presenter
from funai.console.pages.apps import APP, Done
from funai.console.pages.forms import STREAM_HEADERS, Id, app_path, see
from funai.console.session import Change, SignedIn, Visit
from funai.contracts.accounts import App, CreateDeploy
from funai.contracts.errors import FunaiError, NotFound
from funai.contracts.jobs import Job
from funai.contracts.reasons import Reason
from funai.contracts.wire import MAX_ID
from funai.i18n.language import message_parts

router = APIRouter()
DEPLOY = APP + "/deploys/{job_id}"
HISTORY = 100
FIRST_LINES = 1_000
"""Lines of the log that the page itself carries: the end of it."""
PAGE_BYTES = 256 * 1024
"""The longest piece of log that the page itself carries."""
Number = Annotated[int, Query(ge=1, le=MAX_ID)]


@router.get(APP + "/deploys")
async def deploys_page(visit: SignedIn, owner: Id, app_id: Id) -> Response:
    return await _deploys(visit, owner, app_id, "deploys.html")


@router.get(APP + "/deploys/rows")
async def deploys_rows(visit: SignedIn, owner: Id, app_id: Id) -> Response:
    return await _deploys(visit, owner, app_id, "deploys_rows.html")


async def _deploys(visit: Visit, owner: int, app_id: int, template: str) -> Response:
    app, history = await visit.app(owner, app_id), await visit.api.history(owner, app_id, HISTORY)
    return visit.page(template, app=app, history=history, job_kind=presenter.job_kind, total=presenter.total_ms, tab="deploys")


@router.post(APP + "/deploys")
async def deploy(
    visit: Change,
    owner: Id,
    app_id: Id,
    git_ref: Annotated[str, Form(max_length=300)] = "",
    image: Annotated[str, Form(max_length=500)] = "",
    repo_ssh_url: Annotated[str, Form(max_length=500)] = "",
    container_port: Annotated[str, Form(max_length=10)] = "",
    health_path: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Begin a deploy and go to its page."""
    wishes = CreateDeploy(
        git_ref=git_ref.strip() or None,
        image=image.strip() or None,
        repo_ssh_url=repo_ssh_url.strip() or None,
        container_port=int(container_port) if container_port.isascii() and container_port.isdigit() else None,
        health_path=health_path.strip() or None,
    )
    job = await visit.api.deploy(owner, app_id, wishes)
    return see(app_path(owner, app_id, f"/deploys/{job.id}"))


@router.get(DEPLOY)
async def deploy_page(visit: SignedIn, owner: Id, app_id: Id, job_id: Id, done: Done = None) -> Response:
    job = await _job(visit, app_id, job_id)
    app = await visit.app(owner, app_id)  # after the job: what a job that has ended left is in it
    tail = await visit.api.job_log_tail(job_id, PAGE_BYTES)
    lines = tail.chunk.split("\n")
    shown = "\n".join(lines[-FIRST_LINES - 1 :])
    begin = tail.next_offset - len(shown.encode())
    return visit.page(
        "deploy.html",
        app=app,
        done=done,
        log=shown,
        log_begin=begin,
        log_end=tail.next_offset,
        tab="deploys",
        **await _progress(visit, app, job),
    )


@router.get(DEPLOY + "/state")
async def deploy_state(visit: SignedIn, owner: Id, app_id: Id, job_id: Id) -> Response:
    """The part of a deploy's page that changes: phases, place in the line, outcome."""
    job = await _job(visit, app_id, job_id)
    app = await visit.app(owner, app_id)
    return visit.page("deploy_state.html", app=app, **await _progress(visit, app, job))


async def _progress(visit: Visit, app: App, job: Job) -> dict[str, Any]:
    """What both pages of a deploy show of it, by the template's names."""
    before = None
    if job.status.final:
        before = presenter.previous_success(job, await visit.api.history(app.user_id, app.id, HISTORY))
    head, lines = message_parts(visit.language, job.error_message)
    return {
        "job": job,
        "latest": job.id == app.last_job_id,
        "again": presenter.again(job, app),
        "kind": presenter.job_kind(job),
        "steps": presenter.steps(job, before),
        "before": before,
        "took": presenter.total_ms(job),
        "took_before": presenter.total_ms(before) if before else None,
        "error_head": head,
        "error_lines": lines,
    }


async def _job(visit: Visit, app_id: int, job_id: int) -> Job:
    """The job, when it is one of the app's. Raises NotFound."""
    job = await visit.api.job(job_id)
    if str(job.payload.get("appId")) != str(app_id):
        raise NotFound(Reason.JOB_NOT_FOUND)
    return job


@router.post(DEPLOY + "/cancel")
async def cancel(visit: Change, owner: Id, app_id: Id, job_id: Id) -> Response:
    await _job(visit, app_id, job_id)
    await visit.api.cancel(job_id)
    return see(app_path(owner, app_id, f"/deploys/{job_id}"), done="done_cancelled")


@router.get(DEPLOY + "/log")
async def log_piece(visit: SignedIn, app_id: Id, job_id: Id, begin: Annotated[int, Query(ge=0, le=MAX_ID)] = 0) -> Response:
    """A piece of the log as JSON, from byte ``begin``: for "load earlier"."""
    await _job(visit, app_id, job_id)
    piece = await visit.api.job_log(job_id, begin)
    return Response(piece.model_dump_json(by_alias=True), media_type="application/json")


@router.get(DEPLOY + "/log.txt")
async def log_text(visit: SignedIn, app_id: Id, job_id: Id) -> StreamingResponse:
    """The whole log as a file."""
    await _job(visit, app_id, job_id)

    async def pieces() -> AsyncIterator[bytes]:
        offset = 0
        while True:
            piece = await visit.api.job_log(job_id, offset)
            if not piece.chunk:
                return
            yield piece.chunk.encode()
            offset = piece.next_offset

    headers = {"Content-Disposition": f'attachment; filename="deploy-{job_id}.log"'}
    return StreamingResponse(pieces(), media_type="text/plain; charset=utf-8", headers=headers)


async def followed(
    visit: SignedIn,
    app_id: Id,
    job_id: Id,
    offset: Annotated[int, Query(ge=0, le=MAX_ID)] = 0,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID", max_length=19)] = None,
) -> AsyncIterator[httpx.Response]:
    """The API's stream of the job's log, open for as long as the answer is sent."""
    await _job(visit, app_id, job_id)
    if last_event_id and last_event_id.isascii() and last_event_id.isdigit():
        offset = int(last_event_id)
    async with visit.api.job_log_stream(job_id, offset) as response:
        yield response


@router.get(DEPLOY + "/events")
async def events(stream: Annotated[httpx.Response, Depends(followed)]) -> StreamingResponse:
    """The API's log stream, handed on as it is. A browser that comes back names the byte where it stopped."""
    return StreamingResponse(stream.aiter_raw(), media_type="text/event-stream; charset=utf-8", headers=STREAM_HEADERS)


@router.get(APP + "/releases")
async def releases_page(visit: SignedIn, owner: Id, app_id: Id) -> Response:
    app, releases = await visit.app(owner, app_id), await visit.api.releases(owner, app_id)
    return visit.page("releases.html", app=app, releases=releases, tab="releases")


@router.get(APP + "/releases/compare")
async def compare_page(
    visit: SignedIn,
    owner: Id,
    app_id: Id,
    old: Number,
    new: Number,
) -> Response:
    app, found = await visit.app(owner, app_id), await visit.api.compare_releases(owner, app_id, old, new)
    return visit.page("compare.html", app=app, found=found, rows=presenter.compare(found), tab="releases")


@router.post(APP + "/rollback")
async def rollback(visit: Change, owner: Id, app_id: Id, release: Annotated[int, Form(ge=1)]) -> Response:
    job = await visit.api.rollback(owner, app_id, release)
    return see(app_path(owner, app_id, f"/deploys/{job.id}"))


@router.get("/queue")
async def queue_page(visit: SignedIn) -> Response:
    return await _queue(visit, "queue.html")


@router.get("/queue/rows")
async def queue_rows(visit: SignedIn) -> Response:
    return await _queue(visit, "queue_rows.html")


async def _queue(visit: Visit, template: str) -> Response:
    try:
        jobs, error = await visit.api.jobs(HISTORY), None
    except FunaiError as e:
        jobs, error = [], e
    return visit.page(template, jobs=jobs, error=error, job_kind=presenter.job_kind, total=presenter.total_ms)
