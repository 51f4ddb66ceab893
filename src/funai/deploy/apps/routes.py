"""``/deploy/apps/**`` for the API, behind X-DEPLOY-SECRET."""

# pyright: reportUnusedFunction=false
from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response

from funai.base.db.engine import Database
from funai.base.http.app import ok
from funai.base.http.guards import Guard
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
from funai.deploy.apps.databases import AppDatabases
from funai.deploy.apps.logs import container_logs
from funai.deploy.apps.service import Apps
from funai.deploy.releases.orphans import OrphanImages
from funai.deploy.releases.store import MAX_NUMBER, ReleaseBook

UserId = Annotated[int, Query(alias="userId", ge=1, le=MAX_ID)]
AppId = Annotated[int, Query(alias="appId", ge=1, le=MAX_ID)]


def app_routes(apps: Apps, releases: ReleaseBook, db: Database, guard: Guard, images: OrphanImages) -> APIRouter:
    router = APIRouter(prefix="/deploy/apps", tags=["apps"], dependencies=[Depends(guard)])

    _state_calls(router, apps)
    _database_calls(router, AppDatabases(apps.agents), images)

    @router.post("/stop")
    async def stop(app: AppTarget) -> Envelope[dict[str, Any]]:
        return _ok(await apps.stop(app.user_id, app.app_id))

    @router.post("/start")
    async def start(app: AppTarget) -> Envelope[dict[str, Any]]:
        return _ok(await apps.start(app.user_id, app.app_id))

    @router.post("/purge")
    async def purge(app: AppTarget) -> Envelope[dict[str, Any]]:
        return _ok(await apps.purge(app.app_id))

    @router.post("/cleanup")
    async def cleanup(app: AppTarget) -> Envelope[AppDeleted]:
        return _ok(await apps.cleanup(app.user_id, app.app_id))

    @router.post("/overview")
    async def overview(asked: AppsQuestion) -> Envelope[list[AppOverview]]:
        return _ok(await apps.overview(asked.app_ids))

    @router.get("/logs", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def logs(
        user_id: UserId, app_id: AppId, tail: Annotated[int, Query(ge=0, le=100_000)] = 200, follow: bool = False
    ) -> Response:
        return await container_logs(apps.agents, user_id, app_id, tail=tail, follow=follow)

    @router.get("/{appId}/releases")
    async def list_releases(
        app_id: Annotated[int, Path(alias="appId", ge=1, le=MAX_ID)], limit: Annotated[int, Query(), clamped(1, 200)] = 50
    ) -> Envelope[list[Release]]:
        async with db.read() as conn:
            return _ok(await releases.list(conn, app_id, limit))

    @router.get("/{appId}/releases/{number}/variables")
    async def sealed_variables(
        app_id: Annotated[int, Path(alias="appId", ge=1, le=MAX_ID)], number: Annotated[int, Path(ge=1, le=MAX_NUMBER)]
    ) -> Envelope[SealedVariables]:
        async with db.read() as conn:
            return _ok(SealedVariables(env_sealed=await releases.sealed_variables(conn, app_id, number)))

    return router


def _database_calls(router: APIRouter, databases: AppDatabases, images: OrphanImages) -> None:
    @router.post("/databases/{op}")
    async def database(op: DatabaseOp, call: DatabaseCall) -> Envelope[dict[str, Any]]:
        return _ok(await databases.call(op, call))

    @router.post("/mongo/{verb}")
    async def mongo(verb: MongoVerb, call: MongoCall) -> Envelope[dict[str, Any]]:
        return _ok(await databases.mongo(verb, call))

    @router.post("/orphans")
    async def orphans(asked: FindOrphans) -> Envelope[list[Orphans]]:
        return _ok(await databases.orphans(asked))

    @router.post("/orphans/images")
    async def orphan_images(asked: FindOrphanImages) -> Envelope[Orphans]:
        return _ok(await images.run(asked))


def _state_calls(router: APIRouter, apps: Apps) -> None:
    @router.get("/status")
    async def status(user_id: UserId, app_id: AppId) -> Envelope[dict[str, Any]]:
        return _ok(await apps.status(user_id, app_id))

    @router.get("/usage")
    async def usage(user_id: UserId, app_id: AppId, window: Window = Window.HOUR) -> Envelope[AppUsage]:
        return _ok(await apps.usage(user_id, app_id, window))


def _ok(data: Any) -> Any:
    return ok(data)
