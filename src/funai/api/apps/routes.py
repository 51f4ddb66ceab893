"""The app registry and an app's variables."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Query

from funai.api.accounts.callers import Caller
from funai.api.audit.recorder import Audit, Recorder
from funai.api.audit.trail import names
from funai.api.edge import PREFIX, AppId, CurrentUser, Services, UserId, answers
from funai.api.services import Core
from funai.base.http.app import Reply, ok
from funai.contracts.accounts import App, AppDeleted, CreateApp, EnvVar, SetEnv, UpdateApp
from funai.contracts.audit import AuditAction
from funai.contracts.errors import BadInput
from funai.contracts.wire import MAX_ID
from funai.i18n.reasons import Words

router = APIRouter(prefix=PREFIX)
MASK = "******"


@router.get("/app/create", tags=["apps"], summary="Register an app with a default name", **answers(App))
async def create_unnamed(core: Services, caller: CurrentUser, audit: Audit, user_id: UserId = None) -> Reply:
    return await _create(core, caller, audit, user_id, CreateApp())


@router.post("/app/create", tags=["apps"], summary="Register an app", **answers(App))
async def create(
    core: Services, caller: CurrentUser, audit: Audit, user_id: UserId = None, body: CreateApp | None = None
) -> Reply:
    return await _create(core, caller, audit, user_id, body or CreateApp())


async def _create(core: Core, caller: Caller, audit: Recorder, user_id: int | None, body: CreateApp) -> Reply:
    app = await core.apps.create(caller.acting_for(user_id), body)
    await audit(AuditAction.APP_CREATED, caller, user_id=app.user_id, app_id=app.id, target=app.app_name)
    return ok(app)


@router.get("/app/list", tags=["apps"], summary="A user's apps, newest first", **answers(list[App]))
async def list_apps(core: Services, caller: CurrentUser, user_id: UserId = None) -> Reply:
    rows = await core.tracker.fresh_all(await core.apps.rows(caller.acting_for(user_id)))
    return ok(await core.overviews.shown(rows))


@router.get("/app/info", tags=["apps"], summary="One app", **answers(App))
async def info(core: Services, caller: CurrentUser, app_id: AppId, user_id: UserId = None) -> Reply:
    row = await core.tracker.fresh(await core.apps.own(caller.acting_for(user_id), app_id))
    return ok((await core.overviews.shown([row]))[0])


@router.post("/app/update-basic", tags=["apps"], summary="Rename or describe an app", **answers(App))
async def update_basic(
    core: Services,
    caller: CurrentUser,
    body: UpdateApp,
    user_id: UserId = None,
    app_id: Annotated[int | None, Query(alias="appId", ge=1, le=MAX_ID)] = None,
) -> Reply:
    target = app_id or body.app_id or body.id
    if target is None or not 1 <= target <= MAX_ID:
        raise BadInput(detail=Words("缺少 appId", "appId is missing"))
    return ok(await core.apps.update(caller.acting_for(user_id or body.user_id), target, body))


@router.get(
    "/app/delete",
    tags=["apps"],
    **answers(AppDeleted),
    summary="Delete an app and all it left anywhere; what can't be cleaned now is retried",
)
async def delete_by_get(core: Services, caller: CurrentUser, audit: Audit, app_id: AppId, user_id: UserId = None) -> Reply:
    return await _delete(core, caller, audit, app_id, user_id)


@router.post(
    "/app/delete",
    tags=["apps"],
    **answers(AppDeleted),
    summary="Delete an app and all it left anywhere; what can't be cleaned now is retried",
)
async def delete(core: Services, caller: CurrentUser, audit: Audit, app_id: AppId, user_id: UserId = None) -> Reply:
    return await _delete(core, caller, audit, app_id, user_id)


async def _delete(core: Core, caller: Caller, audit: Recorder, app_id: int, user_id: int | None) -> Reply:
    owner = caller.acting_for(user_id)
    app = await core.apps.own(owner, app_id)
    deleted = await core.deletions.delete(owner, app_id, disabled_too=caller.admin)
    await audit(AuditAction.APP_DELETED, caller, user_id=owner, app_id=app_id, target=app.app_name)
    return ok(deleted)


@router.get(
    "/app/env", tags=["variables"], summary="Names of an app's variables; values never come back", **answers(list[EnvVar])
)
async def env_names(core: Services, caller: CurrentUser, app_id: AppId, user_id: UserId = None) -> Reply:
    await core.apps.own(caller.acting_for(user_id), app_id)
    return ok(await _masked(core, app_id, await core.variables.names(app_id)))


@router.put(
    "/app/env",
    tags=["variables"],
    **answers(list[EnvVar]),
    summary="Add or replace variables; the next deploy carries them",
)
async def set_env(
    core: Services,
    caller: CurrentUser,
    audit: Audit,
    app_id: AppId,
    body: Annotated[SetEnv, Body()],
    user_id: UserId = None,
    secret: Annotated[bool | None, Query(description="Whether to mask these values in logs, whatever they look like")] = None,
    build: Annotated[bool, Query(description="Builds get these too, as build arguments")] = False,
) -> Reply:
    app = await core.apps.own(caller.acting_for(user_id), app_id)
    left = await core.variables.set(app_id, body, secret=secret, build=build)
    await audit(AuditAction.VARIABLES_SET, caller, user_id=app.user_id, app_id=app_id, target=app.app_name, detail=names(body))
    return ok(await _masked(core, app_id, left))


@router.delete("/app/env", tags=["variables"], summary="Forget variables by name", **answers(list[EnvVar]))
async def unset_env(
    core: Services,
    caller: CurrentUser,
    audit: Audit,
    app_id: AppId,
    user_id: UserId = None,
    name: Annotated[list[str], Query(max_length=200, description="May be given several times")] = [],  # noqa: B006
) -> Reply:
    app = await core.apps.own(caller.acting_for(user_id), app_id)
    left = await core.variables.unset(app_id, name)
    await audit(
        AuditAction.VARIABLES_REMOVED, caller, user_id=app.user_id, app_id=app_id, target=app.app_name, detail=names(name)
    )
    return ok(await _masked(core, app_id, left))


async def _masked(core: Core, app_id: int, names: list[str]) -> list[EnvVar]:
    marked = (await core.variables.kept(app_id)).secret
    build = await core.variables.builds(app_id)
    return [EnvVar(name=n, value=MASK, secret=n in marked, **({"build": True} if n in build else {})) for n in names]
