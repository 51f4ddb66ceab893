"""The list of apps, a new app in three steps, and one app's overview, variables and settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import httpx
from fastapi import APIRouter, Depends, Form, Query
from starlette.responses import Response, StreamingResponse

from funai.console import presenter, usagecharts
from funai.console.pages.forms import STREAM_HEADERS, Id, app_path, see
from funai.console.session import Change, SignedIn, Visit
from funai.contracts.accounts import App, AppRuntime, CreateApp
from funai.contracts.errors import FunaiError
from funai.contracts.states import Window

router = APIRouter()
APP = "/users/{owner}/apps/{app_id}"
Done = Annotated[str | None, Query(max_length=40)]
Tail = Annotated[int, Query(ge=1, le=10_000)]
RECENT = 5
"""Deploys on an app's overview."""


@router.get("/apps")
async def apps_page(visit: SignedIn, done: Done = None) -> Response:
    return visit.page("apps.html", apps=await visit.api.apps(visit.user.id), done=done)


@router.get("/apps/rows")
async def apps_rows(visit: SignedIn) -> Response:
    """The rows of the list, which the page asks for again and again."""
    return visit.page("apps_rows.html", apps=await visit.api.apps(visit.user.id))


@router.get("/apps/new")
async def new_page(visit: SignedIn) -> Response:
    return visit.page("app_new.html", error=None, name="", description="")


@router.post("/apps/new")
async def new(
    visit: Change, name: Annotated[str, Form(max_length=200)] = "", description: Annotated[str, Form(max_length=2_000)] = ""
) -> Response:
    asked = CreateApp(app_name=name.strip() or None, description=description.strip() or None)
    try:
        app = await visit.api.create_app(visit.user.id, asked)
    except FunaiError as e:
        return visit.page("app_new.html", status=e.code, error=e, name=name, description=description)
    return see(app_path(visit.user.id, app.id, "/begin"), done="done_created")


@router.get(APP + "/begin")
async def begin_page(visit: SignedIn, owner: Id, app_id: Id, done: Done = None) -> Response:
    """Steps two and three: how to bring the code, and the first deploy."""
    app = await visit.app(owner, app_id)
    return visit.page("app_begin.html", app=app, done=done, has_key=bool(await visit.api.keys()), error=None)


@router.get(APP)
async def overview_page(visit: SignedIn, owner: Id, app_id: Id, done: Done = None) -> Response:
    app = await visit.app(owner, app_id)
    return await _overview(visit, app, "app.html", done=done)


@router.get(APP + "/state")
async def overview_state(visit: SignedIn, owner: Id, app_id: Id) -> Response:
    """The part of the overview that changes."""
    return await _overview(visit, await visit.app(owner, app_id), "app_state.html", done=None)


async def _overview(visit: Visit, app: App, template: str, *, done: str | None) -> Response:
    runtime, silent = await _runtime(visit, app)
    history = await visit.api.history(app.user_id, app.id, RECENT)
    return visit.page(
        template,
        app=app,
        runtime=runtime,
        silent=silent,
        history=history,
        startable=presenter.startable(app, history),
        job_kind=presenter.job_kind,
        total=presenter.total_ms,
        done=done,
        tab="overview",
    )


async def _runtime(visit: Visit, app: App) -> tuple[AppRuntime | None, FunaiError | None]:
    """The container as its node reports it, or why there is no report."""
    try:
        return await visit.api.runtime(app.user_id, app.id), None
    except FunaiError as e:
        return None, None if e.code in (404, 409) else e


@router.get(APP + "/logs")
async def logs_page(visit: SignedIn, owner: Id, app_id: Id, tail: Tail = 200) -> Response:
    """What the container printed last."""
    app = await visit.app(owner, app_id)
    try:
        async with visit.api.app_log_stream(owner, app_id, tail=tail, follow=False) as response:
            await response.aread()
            lines, error = response.text, None
    except FunaiError as e:
        lines, error = "", e
    return visit.page("app_logs.html", app=app, lines=lines, tail=tail, error=error, tab="logs")


async def output(visit: SignedIn, owner: Id, app_id: Id, tail: Tail = 200) -> AsyncIterator[httpx.Response]:
    """The API's stream of what the container prints, open for as long as the answer is sent."""
    async with visit.api.app_log_stream(owner, app_id, tail=tail, follow=True) as response:
        yield response


@router.get(APP + "/logs/stream")
async def logs_stream(stream: Annotated[httpx.Response, Depends(output)]) -> StreamingResponse:
    """The last lines, then what comes, until the container ends."""
    return StreamingResponse(stream.aiter_raw(), media_type="text/plain; charset=utf-8", headers=STREAM_HEADERS)


@router.get(APP + "/usage")
async def usage_page(visit: SignedIn, owner: Id, app_id: Id, window: Window = Window.HOUR) -> Response:
    """What the app used: charts, each with its table."""
    app, usage, error = await visit.app(owner, app_id), None, None
    try:
        usage = await visit.api.usage(owner, app_id, window)
    except FunaiError as e:
        error = e
    charts = usagecharts.charts(usage) if usage else []
    return visit.page("app_usage.html", app=app, usage=usage, charts=charts, window=window.value, error=error, tab="usage")


@router.get(APP + "/variables")
async def variables_page(visit: SignedIn, owner: Id, app_id: Id, done: Done = None) -> Response:
    return await _variables(visit, owner, app_id, done=done)


@router.post(APP + "/variables")
async def set_variable(
    visit: Change,
    owner: Id,
    app_id: Id,
    name: Annotated[str, Form(max_length=500)] = "",
    value: Annotated[str, Form(max_length=100_000)] = "",
) -> Response:
    try:
        await visit.api.set_env(owner, app_id, {name.strip(): value})
    except FunaiError as e:
        return await _variables(visit, owner, app_id, error=e, name=name)
    return see(app_path(owner, app_id, "/variables"), done="done_env")


@router.post(APP + "/variables/remove")
async def remove_variable(visit: Change, owner: Id, app_id: Id, name: Annotated[str, Form(max_length=500)]) -> Response:
    await visit.api.unset_env(owner, app_id, [name])
    return see(app_path(owner, app_id, "/variables"), done="done_env")


async def _variables(
    visit: Visit, owner: int, app_id: int, *, done: str | None = None, error: FunaiError | None = None, name: str = ""
) -> Response:
    app, variables = await visit.app(owner, app_id), await visit.api.env(owner, app_id)
    status = error.code if error else 200
    return visit.page(
        "app_variables.html", status=status, app=app, variables=variables, done=done, error=error, name=name, tab="variables"
    )


@router.get(APP + "/settings")
async def settings_page(visit: SignedIn, owner: Id, app_id: Id, done: Done = None) -> Response:
    app = await visit.app(owner, app_id)
    return visit.page("app_settings.html", app=app, done=done, error=None, tab="settings")


@router.post(APP + "/settings")
async def save_settings(
    visit: Change,
    owner: Id,
    app_id: Id,
    name: Annotated[str, Form(max_length=200)] = "",
    description: Annotated[str, Form(max_length=2_000)] = "",
) -> Response:
    app = await visit.app(owner, app_id)
    try:
        await visit.api.update_app(owner, app_id, name.strip(), description.strip())
    except FunaiError as e:
        return visit.page("app_settings.html", status=e.code, app=app, done=None, error=e, tab="settings")
    return see(app_path(owner, app_id, "/settings"), done="done_saved")


@router.post(APP + "/start")
async def start(visit: Change, owner: Id, app_id: Id) -> Response:
    await visit.api.app_call("start", owner, app_id)
    return see(app_path(owner, app_id), done="done_started")


@router.get(APP + "/stop")
async def stop_page(visit: SignedIn, owner: Id, app_id: Id) -> Response:
    return visit.page("app_stop.html", app=await visit.app(owner, app_id), tab="settings")


@router.post(APP + "/stop")
async def stop(visit: Change, owner: Id, app_id: Id) -> Response:
    await visit.api.app_call("stop", owner, app_id)
    return see(app_path(owner, app_id), done="done_stopped")


@router.get(APP + "/delete")
async def delete_page(visit: SignedIn, owner: Id, app_id: Id) -> Response:
    return visit.page("app_delete.html", app=await visit.app(owner, app_id), mismatch=False, tab="settings")


@router.post(APP + "/delete")
async def delete(visit: Change, owner: Id, app_id: Id, typed: Annotated[str, Form(max_length=200)] = "") -> Response:
    app = await visit.app(owner, app_id)
    if typed.strip() != app.app_name:
        return visit.page("app_delete.html", status=400, app=app, mismatch=True, tab="settings")
    report = await visit.api.delete_app(owner, app_id)
    return see("/apps", done="done_deleted" if report.complete else "done_deleting")
