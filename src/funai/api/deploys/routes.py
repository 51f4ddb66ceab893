"""Deploying: jobs, what runs, releases."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from funai.api.apps.service import DEPLOYED
from funai.api.audit.recorder import Audit
from funai.api.deploys.policy import build_rules_of
from funai.api.edge import PREFIX, AppId, CurrentUser, IdempotencyKey, JobId, Services, UserId, answers
from funai.base.http.app import Reply, ok
from funai.contracts.accounts import App, AppRuntime, CreateDeploy, StoppedApp
from funai.contracts.apps.usage import AppUsage
from funai.contracts.audit import AuditAction
from funai.contracts.jobs import BuildRules, Job, Release, ReleaseComparison
from funai.contracts.states import Window
from funai.contracts.wire import MAX_ID, clamped

router = APIRouter(prefix=f"{PREFIX}/deploy")
Limit = Annotated[int, Query(description="At most so many, 1…200"), clamped(1, 200)]


@router.post(
    "/job/create",
    tags=["deploy"],
    **answers(Job),
    summary="Deploy an app: its repository, or a prebuilt image",
)
async def create_job(
    core: Services,
    caller: CurrentUser,
    app_id: AppId,
    user_id: UserId = None,
    body: CreateDeploy | None = None,
    key: IdempotencyKey = None,
) -> Reply:
    return ok(await core.deploys.create(caller.acting_for(user_id), app_id, body or CreateDeploy(), key))


@router.get("/build/rules", tags=["deploy"], summary="What a Dockerfile may be built on", **answers(BuildRules))
async def build_rules(
    core: Services,
    caller: CurrentUser,
    user_id: UserId = None,
    app_id: Annotated[int | None, Query(alias="appId", ge=1, le=MAX_ID)] = None,
) -> Reply:
    return ok(build_rules_of(core.settings, caller.acting_for(user_id), app_id))


@router.get("/job/info", tags=["deploy"], summary="One job", **answers(Job))
async def job_info(core: Services, caller: CurrentUser, job_id: JobId) -> Reply:
    return ok(await core.deploys.info(caller, job_id))


@router.get(
    "/job/list",
    tags=["deploy"],
    **answers(list[Job]),
    summary="Newest jobs of one's own apps; of all apps for an admin",
)
async def job_list(core: Services, caller: CurrentUser, limit: Limit = 50) -> Reply:
    return ok(await core.deploys.latest(caller, limit))


@router.get(
    "/job/history",
    tags=["deploy"],
    **answers(list[Job]),
    summary="One app's jobs, newest first",
)
async def job_history(core: Services, caller: CurrentUser, app_id: AppId, user_id: UserId = None, limit: Limit = 20) -> Reply:
    return ok(await core.deploys.history(caller.acting_for(user_id), app_id, limit))


@router.post("/job/cancel", tags=["deploy"], summary="Cancel a job", **answers(Job))
async def cancel_job(core: Services, caller: CurrentUser, job_id: JobId) -> Reply:
    return ok(await core.deploys.cancel(caller, job_id))


@router.get(
    "/app/list",
    tags=["deploy"],
    **answers(list[App]),
    summary="The user's apps that are being deployed, run, or failed to",
)
async def deployed_apps(
    core: Services,
    caller: CurrentUser,
    user_id: UserId = None,
    app_id: Annotated[int | None, Query(alias="appId", ge=1, le=MAX_ID)] = None,
) -> Reply:
    rows = [r for r in await core.apps.rows(caller.acting_for(user_id)) if app_id is None or r.id == app_id]
    found = await core.tracker.fresh_all([r for r in rows if r.status in DEPLOYED])
    return ok(await core.overviews.shown([r for r in found if r.status in DEPLOYED]))


@router.get("/app/status", tags=["deploy"], summary="How the app's container is, by its node's word", **answers(AppRuntime))
async def app_status(core: Services, caller: CurrentUser, app_id: AppId, user_id: UserId = None) -> Reply:
    return ok(await core.overviews.runtime(caller.acting_for(user_id), app_id))


@router.get("/app/usage", tags=["deploy"], summary="What the app used, by steps of time", **answers(AppUsage))
async def app_usage(
    core: Services, caller: CurrentUser, app_id: AppId, user_id: UserId = None, window: Window = Window.HOUR
) -> Reply:
    return ok(await core.overviews.usage(caller.acting_for(user_id), app_id, window))


@router.post("/app/stop", tags=["deploy"], summary="Take the app off line", **answers(StoppedApp))
async def stop_app(core: Services, caller: CurrentUser, audit: Audit, app_id: AppId, user_id: UserId = None) -> Reply:
    owner = caller.acting_for(user_id)
    stopped = await core.deploys.stop(owner, app_id)
    await audit(AuditAction.APP_STOPPED, caller, user_id=owner, app_id=app_id, target=stopped.app_name)
    return ok(stopped)


@router.post("/app/start", tags=["deploy"], summary="Start a stopped app's kept release again", **answers(App))
async def start_app(core: Services, caller: CurrentUser, audit: Audit, app_id: AppId, user_id: UserId = None) -> Reply:
    owner = caller.acting_for(user_id)
    started = await core.deploys.start(owner, app_id)
    await audit(AuditAction.APP_STARTED, caller, user_id=owner, app_id=app_id, target=started.app_name)
    return ok(started)


@router.post(
    "/app/rollback",
    tags=["deploy"],
    **answers(Job),
    summary="Run an earlier release again, by its image's digest; without a number, the one before the live one",
)
async def rollback(
    core: Services,
    caller: CurrentUser,
    audit: Audit,
    app_id: AppId,
    user_id: UserId = None,
    key: IdempotencyKey = None,
    release: Annotated[int | None, Query(ge=1, le=MAX_ID)] = None,
) -> Reply:
    owner = caller.acting_for(user_id)
    job = await core.deploys.rollback(owner, app_id, release, key)
    await audit(AuditAction.APP_ROLLED_BACK, caller, user_id=owner, app_id=app_id, detail=f"#{job.id}")
    return ok(job)


@router.get(
    "/app/releases/compare",
    tags=["deploy"],
    **answers(ReleaseComparison),
    summary="What two releases differ in; of variables the names, never values",
)
async def compare_releases(
    core: Services,
    caller: CurrentUser,
    app_id: AppId,
    old: Annotated[int, Query(ge=1, le=MAX_ID)],
    new: Annotated[int, Query(ge=1, le=MAX_ID)],
    user_id: UserId = None,
) -> Reply:
    return ok(await core.deploys.compare(caller.acting_for(user_id), app_id, old, new))


@router.get("/app/releases", tags=["deploy"], summary="Releases, newest first", **answers(list[Release]))
async def releases(core: Services, caller: CurrentUser, app_id: AppId, user_id: UserId = None) -> Reply:
    return ok(await core.deploys.releases(caller.acting_for(user_id), app_id))
