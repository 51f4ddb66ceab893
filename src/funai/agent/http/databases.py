"""The agent's calls about apps' databases, behind ``X-Runtime-Token``: life, backups, orphans, and the Mongo explorer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar

from fastapi import APIRouter, Body, Depends, FastAPI, Query, Request
from pydantic import ValidationError

from funai.agent.databases.contract import AppKey, DatabaseError
from funai.agent.databases.orphans import OrphanSweep
from funai.agent.databases.service import Databases, in_words
from funai.agent.http.routes import allowed
from funai.agent.workload.contract import WorkloadError
from funai.base.http.app import add_routes
from funai.contracts.agent import CleanupOrphaned
from funai.contracts.apps.databases import (
    DatabaseCall,
    DatabaseOp,
    FindOrphans,
    Kind,
    MongoById,
    MongoCreate,
    MongoDoc,
    MongoFind,
    MongoUpdate,
    Orphans,
)
from funai.contracts.errors import BadInput, Conflict, Unavailable
from funai.contracts.reasons import Reason
from funai.contracts.wire import MAX_ID, Wire

if TYPE_CHECKING:
    from funai.agent.databases.mongodb.explorer import Explorer

W = TypeVar("W", bound=Wire)
MONGO = "/api/fun-ai/deploy/mongo"
IdQuery = Annotated[int | None, Query(ge=1, le=MAX_ID)]
Json = Annotated[dict[str, object], Body()]


@dataclass(frozen=True)
class DatabaseParts:
    databases: Databases
    orphans: OrphanSweep
    explorer: Explorer | None
    """None where this node has no MongoDB."""
    grace_hours: float

    @property
    def mongo(self) -> Explorer:
        """Raises Conflict ``DATABASE_NOT_OFFERED``."""
        if self.explorer is None:
            raise Conflict(Reason.DATABASE_NOT_OFFERED, kind=Kind.MONGO, kinds=", ".join(self.databases.drivers) or "-")
        return self.explorer

    async def writing(self, user_id: int, app_id: int) -> tuple[int, int]:
        """Before the explorer writes, which it does by the platform's account; answers the ids.

        From then on the database is measured as the app's. Raises Conflict ``DATABASE_FULL`` over the quota, Unavailable.
        """
        own, driver = self.databases, self.databases.drivers.get(Kind.MONGO)
        if driver is not None and own.ledger.rotation(app_id, Kind.MONGO) is None:
            try:
                rotation = await driver.rotation(AppKey(user_id, app_id, driver.name(user_id, app_id)))
            except DatabaseError as e:
                raise in_words(Kind.MONGO, e) from e
            await own.ledger.note(user_id, app_id, Kind.MONGO, rotation)
        if own.quota.shut(app_id, Kind.MONGO):
            raise Conflict(Reason.DATABASE_FULL)
        return user_id, app_id


def parts_of(request: Request) -> DatabaseParts:
    parts: DatabaseParts = request.app.state.databases
    return parts


Parts = Annotated[DatabaseParts, Depends(parts_of)]
router = APIRouter(prefix="/agent", dependencies=[Depends(allowed)])
explorer = APIRouter(prefix=MONGO, dependencies=[Depends(allowed)])
"""The ids come by query or in the body; callers in the field do both."""


@router.post("/databases/{op}")
async def database(parts: Parts, op: DatabaseOp, body: DatabaseCall) -> dict[str, object]:
    call = getattr(parts.databases, op.value)
    return (await call(body)).to_wire()


@router.post("/orphans")
async def orphans(parts: Parts, body: FindOrphans) -> dict[str, object]:
    return (await _swept(parts.orphans, body)).to_wire()


@router.post("/cleanup-orphaned")
async def cleanup_orphaned(parts: Parts, body: CleanupOrphaned) -> dict[str, object]:
    """The contract's call: databases and containers of apps that aren't listed go, after the grace."""
    asked = FindOrphans(existing_app_ids=body.existing_app_ids, delete=True, grace_hours=parts.grace_hours)
    try:
        done = await _swept(parts.orphans, asked)
    except Conflict as e:
        return {"cleanedDatabases": 0, "message": e.message("en")}
    gone = [name for name in done.deleted if name in done.databases]
    told = f"{len(done.databases)} orphaned, {len(gone)} dropped, {len(done.waiting)} within the grace"
    return {"cleanedDatabases": len(gone), "message": "; ".join([told, *done.failed])}


async def _swept(orphans: OrphanSweep, asked: FindOrphans) -> Orphans:
    try:
        return await orphans.run(asked)
    except WorkloadError as e:
        raise Unavailable(Reason.ENGINE_UNREACHABLE, detail=str(e)[:400]) from e


@explorer.get("/collections")
async def collections(parts: Parts, userId: IdQuery = None, appId: IdQuery = None) -> dict[str, object]:  # noqa: N803
    return await parts.mongo.collections(*_ids({}, userId, appId))


@explorer.post("/find")
async def find(parts: Parts, body: Json, userId: IdQuery = None, appId: IdQuery = None) -> dict[str, object]:  # noqa: N803
    return await parts.mongo.find(*_ids(body, userId, appId), _read(MongoFind, body))


@explorer.get("/doc")
async def doc(parts: Parts, collection: str, id: str, userId: IdQuery = None, appId: IdQuery = None) -> dict[str, object]:  # noqa: N803
    return await parts.mongo.doc(*_ids({}, userId, appId), _read(MongoById, {"collection": collection, "id": id}))


@explorer.post("/insert-one")
async def insert_one(parts: Parts, body: Json, userId: IdQuery = None, appId: IdQuery = None) -> dict[str, object]:  # noqa: N803
    return await parts.mongo.insert_one(*await parts.writing(*_ids(body, userId, appId)), _read(MongoDoc, body))


@explorer.post("/update-by-id")
async def update_by_id(parts: Parts, body: Json, userId: IdQuery = None, appId: IdQuery = None) -> dict[str, object]:  # noqa: N803
    return await parts.mongo.update_by_id(*await parts.writing(*_ids(body, userId, appId)), _read(MongoUpdate, body))


@explorer.post("/delete-by-id")
async def delete_by_id(parts: Parts, body: Json, userId: IdQuery = None, appId: IdQuery = None) -> dict[str, object]:  # noqa: N803
    return await parts.mongo.delete_by_id(*_ids(body, userId, appId), _read(MongoById, body))


@explorer.post("/create-collection")
async def create_collection(parts: Parts, body: Json, userId: IdQuery = None, appId: IdQuery = None) -> dict[str, object]:  # noqa: N803
    return await parts.mongo.create_collection(*await parts.writing(*_ids(body, userId, appId)), _read(MongoCreate, body))


def install(app: FastAPI, parts: DatabaseParts) -> None:
    """Serve the calls about databases; the parts are reached through the request."""
    app.state.databases = parts
    add_routes(app, router)
    add_routes(app, explorer)


class _Whose(Wire):
    user_id: int
    app_id: int


def _ids(body: dict[str, object], user_id: int | None, app_id: int | None) -> tuple[int, int]:
    found = _read(_Whose, {"userId": user_id or body.get("userId"), "appId": app_id or body.get("appId")})
    if not (0 < found.user_id <= MAX_ID and 0 < found.app_id <= MAX_ID):
        raise BadInput(detail="userId, appId")
    return found.user_id, found.app_id


def _read(model: type[W], body: dict[str, object]) -> W:
    try:
        return model.model_validate(body)
    except ValidationError as e:
        first = e.errors(include_url=False)[0]
        raise BadInput(detail=f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from e
