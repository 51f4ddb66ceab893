"""``/deploy/db/*`` and the Mongo explorer for an app's owner; app ids for the platform itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response

from funai.api.accounts.callers import Caller
from funai.api.audit.recorder import Audit, Recorder
from funai.api.databases.service import AppDatabases
from funai.api.edge import PREFIX, AppId, CurrentUser, Services, UserId, answers, core_of
from funai.base.http.app import Reply, ok
from funai.base.http.guards import SecretGuard
from funai.contracts.apps.databases import (
    AppDatabases as Shown,
)
from funai.contracts.apps.databases import (
    AppIds,
    Backup,
    DatabaseOp,
    DatabaseUrl,
    DatabaseWish,
    Dropped,
    Kind,
    MongoVerb,
)
from funai.contracts.audit import AuditAction
from funai.contracts.errors import Unauthenticated

router = APIRouter()
owners = APIRouter(prefix=f"{PREFIX}/deploy/db", tags=["databases"])
explorer = APIRouter(prefix=f"{PREFIX}/deploy/mongo", tags=["databases"])
Wish = Annotated[DatabaseWish | None, Body()]
Json = Annotated[dict[str, object], Body()]


async def _databases(core: Services) -> AppDatabases:
    return AppDatabases(core.apps, core.control)


Databases = Annotated[AppDatabases, Depends(_databases)]


@dataclass(frozen=True)
class Owner:
    """A caller with one of their apps: what each call about its databases begins with."""

    databases: AppDatabases
    audit: Recorder
    caller: Caller
    user_id: int
    app_id: int

    async def ask(self, op: DatabaseOp, wish: DatabaseWish | None = None) -> dict[str, object]:
        return await self.databases.call(op, self.user_id, self.app_id, wish or DatabaseWish())

    async def recorded(self, action: AuditAction, op: DatabaseOp, wish: DatabaseWish | None = None) -> dict[str, object]:
        """The same for what the audit trail keeps; only what was done is recorded."""
        done = await self.ask(op, wish)
        target = wish.kind.value if wish and wish.kind else ""
        await self.audit(action, self.caller, user_id=self.user_id, app_id=self.app_id, target=target)
        return done


async def _owner(databases: Databases, audit: Audit, caller: CurrentUser, app_id: AppId, user_id: UserId = None) -> Owner:
    return Owner(databases, audit, caller, caller.acting_for(user_id), app_id)


AppOwner = Annotated[Owner, Depends(_owner)]


@owners.get("/info", summary="An app's databases, their sizes, and their backups", **answers(Shown))
async def info(owner: AppOwner) -> Reply:
    return ok(await owner.ask(DatabaseOp.INFO))


@owners.get("/url", summary="The address with its password; what the app gets as variables", **answers(DatabaseUrl))
async def url(owner: AppOwner, response: Response, kind: Kind | None = None) -> Reply:
    response.headers["Cache-Control"] = "no-store"
    return ok(await owner.recorded(AuditAction.DATABASE_ADDRESS_SHOWN, DatabaseOp.URL, DatabaseWish(kind=kind)))


@owners.post("/create", summary="Make a database for an app; its next deploy or start gets the address", **answers(Shown))
async def create(owner: AppOwner, body: Wish = None) -> Reply:
    return ok(await owner.recorded(AuditAction.DATABASE_CREATED, DatabaseOp.CREATE, body))


@owners.post("/rotate", summary="Another password; the app gets it at its next deploy or start", **answers(DatabaseUrl))
async def rotate(owner: AppOwner, response: Response, body: Wish = None) -> Reply:
    response.headers["Cache-Control"] = "no-store"
    return ok(await owner.recorded(AuditAction.DATABASE_PASSWORD_CHANGED, DatabaseOp.ROTATE, body))


@owners.post("/drop", summary="Drop an app's database with all its data; backups stay", **answers(Dropped))
async def drop(owner: AppOwner, body: Wish = None) -> Reply:
    return ok(await owner.recorded(AuditAction.DATABASE_DROPPED, DatabaseOp.DROP, body))


@owners.post("/backup", summary="Back an app's database up now", **answers(Backup))
async def backup(owner: AppOwner, body: Wish = None) -> Reply:
    return ok(await owner.ask(DatabaseOp.BACKUP, body))


@owners.post("/restore", summary="Replace what the database holds by a backup of this or another own app", **answers(Shown))
async def restore(owner: AppOwner, body: Wish = None) -> Reply:
    return ok(await owner.recorded(AuditAction.DATABASE_RESTORED, DatabaseOp.RESTORE, body))


@explorer.get("/collections", summary="Collections of the app's database", **answers(dict[str, Any]))
async def collections(databases: Databases, caller: CurrentUser, app_id: AppId, user_id: UserId = None) -> Reply:
    return ok(await databases.mongo(MongoVerb.COLLECTIONS, caller.acting_for(user_id), app_id, {}))


@explorer.get("/doc", summary="One document by id", **answers(dict[str, Any]))
async def doc(
    databases: Databases,
    caller: CurrentUser,
    app_id: AppId,
    collection: Annotated[str, Query(max_length=200)],
    id: Annotated[str, Query(max_length=1024)],
    user_id: UserId = None,
) -> Reply:
    asked = {"collection": collection, "id": id}
    return ok(await databases.mongo(MongoVerb.DOC, caller.acting_for(user_id), app_id, asked))


@explorer.post("/find", summary="Documents by a filter, at most 200 a page and 3 s", **answers(dict[str, Any]))
async def find(databases: Databases, caller: CurrentUser, app_id: AppId, body: Json, user_id: UserId = None) -> Reply:
    return ok(await databases.mongo(MongoVerb.FIND, caller.acting_for(user_id), app_id, body))


@explorer.post("/insert-one", summary="Insert a document", **answers(dict[str, Any]))
async def insert_one(databases: Databases, caller: CurrentUser, app_id: AppId, body: Json, user_id: UserId = None) -> Reply:
    return ok(await databases.mongo(MongoVerb.INSERT_ONE, caller.acting_for(user_id), app_id, body))


@explorer.post("/update-by-id", summary="Change a document", **answers(dict[str, Any]))
async def update_by_id(databases: Databases, caller: CurrentUser, app_id: AppId, body: Json, user_id: UserId = None) -> Reply:
    return ok(await databases.mongo(MongoVerb.UPDATE_BY_ID, caller.acting_for(user_id), app_id, body))


@explorer.post("/delete-by-id", summary="Delete a document", **answers(dict[str, Any]))
async def delete_by_id(databases: Databases, caller: CurrentUser, app_id: AppId, body: Json, user_id: UserId = None) -> Reply:
    return ok(await databases.mongo(MongoVerb.DELETE_BY_ID, caller.acting_for(user_id), app_id, body))


@explorer.post("/create-collection", summary="Make a collection, with fields to check if wanted", **answers(dict[str, Any]))
async def create_collection(
    databases: Databases, caller: CurrentUser, app_id: AppId, body: Json, user_id: UserId = None
) -> Reply:
    return ok(await databases.mongo(MongoVerb.CREATE_COLLECTION, caller.acting_for(user_id), app_id, body))


async def _internal_guard(request: Request) -> None:
    token = core_of(request).settings.git_internal_token
    if token is None:  # not configured: shut, not open
        raise Unauthenticated()
    await SecretGuard("X-Git-Token", token)(request)


@router.get(
    f"{PREFIX}/internal/apps/ids",
    tags=["internal"],
    summary="Ids of all apps",
    dependencies=[Depends(_internal_guard)],
    **answers(AppIds),
)
async def app_ids(databases: Databases) -> Reply:
    ids = await databases.ids()
    return ok(AppIds(app_ids=ids, count=len(ids)))


router.include_router(owners)
router.include_router(explorer)
