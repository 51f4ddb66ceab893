"""``/deploy/apps/**`` for the API, behind X-DEPLOY-SECRET."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from funai.base.http.app import ok
from funai.contracts.accounts import AppDeleted
from funai.contracts.apps.databases import (
    DatabaseCall,
    DatabaseOp,
    FindOrphanImages,
    FindOrphans,
    MongoCall,
    MongoVerb,
    Orphans,
)
from funai.contracts.apps.usage import AppUsage
from funai.contracts.jobs import AppTarget, Release, SealedVariables
from funai.contracts.nodes import AppOverview, AppsQuestion
from funai.contracts.states import Window
from funai.contracts.wire import MAX_ID, Envelope, clamped
from funai.deploy.apps.logs import container_logs
from funai.deploy.guards import for_api
from funai.deploy.releases.store import MAX_NUMBER
from funai.deploy.services import Services

UserId = Annotated[int, Query(alias="userId", ge=1, le=MAX_ID)]
AppId = Annotated[int, Query(alias="appId", ge=1, le=MAX_ID)]


router = APIRouter(prefix="/deploy/apps", tags=["apps"], dependencies=[Depends(for_api)])


@router.post("/stop")
async def stop(core: Services, app: AppTarget) -> Envelope[dict[str, Any]]:
    return ok(await core.apps.stop(app.user_id, app.app_id))


@router.post("/start")
async def start(core: Services, app: AppTarget) -> Envelope[dict[str, Any]]:
    return ok(await core.apps.start(app.user_id, app.app_id))


@router.post("/purge")
async def purge(core: Services, app: AppTarget) -> Envelope[dict[str, Any]]:
    return ok(await core.apps.purge(app.app_id))


@router.post("/cleanup")
async def cleanup(core: Services, app: AppTarget) -> Envelope[AppDeleted]:
    return ok(await core.apps.cleanup(app.user_id, app.app_id))


@router.post("/overview")
async def overview(core: Services, asked: AppsQuestion) -> Envelope[list[AppOverview]]:
    return ok(await core.apps.overview(asked.app_ids))


@router.get("/logs", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def logs(
    core: Services, user_id: UserId, app_id: AppId, tail: Annotated[int, Query(ge=0, le=100_000)] = 200, follow: bool = False
) -> Response:
    return await container_logs(core.apps.agents, user_id, app_id, tail=tail, follow=follow)


@router.get("/{appId}/releases")
async def list_releases(
    core: Services,
    app_id: Annotated[int, Path(alias="appId", ge=1, le=MAX_ID)],
    limit: Annotated[int, Query(), clamped(1, 200)] = 50,
) -> Envelope[list[Release]]:
    async with core.db.read() as conn:
        return ok(await core.releases.list(conn, app_id, limit))


@router.get("/{appId}/releases/{number}/variables")
async def sealed_variables(
    core: Services,
    app_id: Annotated[int, Path(alias="appId", ge=1, le=MAX_ID)],
    number: Annotated[int, Path(ge=1, le=MAX_NUMBER)],
) -> Envelope[SealedVariables]:
    async with core.db.read() as conn:
        return ok(SealedVariables(env_sealed=await core.releases.sealed_variables(conn, app_id, number)))


@router.post("/databases/{op}")
async def database(core: Services, op: DatabaseOp, call: DatabaseCall) -> Envelope[dict[str, Any]]:
    return ok(await core.databases.call(op, call))


@router.post("/mongo/{verb}")
async def mongo(core: Services, verb: MongoVerb, call: MongoCall) -> Envelope[dict[str, Any]]:
    return ok(await core.databases.mongo(verb, call))


@router.post("/orphans")
async def orphans(core: Services, asked: FindOrphans) -> Envelope[list[Orphans]]:
    return ok(await core.databases.orphans(asked))


@router.post("/orphans/images")
async def orphan_images(core: Services, asked: FindOrphanImages) -> Envelope[Orphans]:
    return ok(await core.orphan_images.run(asked))


@router.get("/status")
async def status(core: Services, user_id: UserId, app_id: AppId) -> Envelope[dict[str, Any]]:
    return ok(await core.apps.status(user_id, app_id))


@router.get("/usage")
async def usage(core: Services, user_id: UserId, app_id: AppId, window: Window = Window.HOUR) -> Envelope[AppUsage]:
    return ok(await core.apps.usage(user_id, app_id, window))
