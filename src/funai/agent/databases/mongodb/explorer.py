"""The Mongo explorer: an owner looks into the app's own database and changes documents by id.

The database is named by us from the caller's ids, so there is no other to reach. JavaScript at the server is refused wherever
it may stand; every question is bounded in time (3 s), in documents (200 a page) and in bytes.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, TypeVar, cast

import pymongo
from bson import ObjectId, json_util
from bson.errors import BSONError
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import (
    CollectionInvalid,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
)

from funai.agent.databases.mongodb.driver import META, SECONDS, MongoDriver
from funai.contracts.apps.databases import MongoById, MongoCreate, MongoDoc, MongoField, MongoFind, MongoUpdate
from funai.contracts.errors import BadInput, CalleeFailed, Forbidden, Unavailable
from funai.contracts.reasons import Reason

T = TypeVar("T")
MAX_TEXT = 1 << 20
MAX_ANSWER = 4 << 20
MAX_DEPTH = 60
SERVER_CODE = frozenset({"$where", "$function", "$accumulator"})
_COLLECTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,119}")
_TYPES = frozenset(
    {
        "string",
        "int",
        "long",
        "double",
        "decimal",
        "number",
        "bool",
        "date",
        "objectId",
        "array",
        "object",
        "binData",
        "timestamp",
    }
)
_ALIASES = {"integer": "int", "boolean": "bool", "float": "double", "datetime": "date", "objectid": "objectId"}

Document = dict[str, Any]


class Explorer:
    def __init__(self, driver: MongoDriver) -> None:
        self._driver = driver

    async def collections(self, user_id: int, app_id: int) -> Document:
        name, db = self._database(user_id, app_id)
        found = await _bounded(db.list_collection_names())
        shown = sorted(c for c in found if not c.startswith("system.") and c != META)
        return {**_head(user_id, app_id, name), "collections": shown}

    async def find(self, user_id: int, app_id: int, asked: MongoFind) -> Document:
        name, collection = self._collection(user_id, app_id, asked.collection)
        wanted, shown = _object("filter", asked.filter or {}), _object("projection", asked.projection or {})
        cursor = collection.find(wanted, shown or None, limit=asked.limit, skip=asked.skip)
        if order := _sort(asked.sort):
            cursor = cursor.sort(order)
        items: list[Any] = []
        size, cut = 0, False

        async def read() -> None:
            nonlocal size, cut
            async with cursor:
                async for document in cursor:
                    item = _shown(document)
                    size += len(json.dumps(item, ensure_ascii=False))
                    if items and size > MAX_ANSWER:
                        cut = True
                        break
                    items.append(item)

        await _bounded(read())
        head = {**_head(user_id, app_id, name), "collection": asked.collection, "limit": asked.limit, "skip": asked.skip}
        return {**head, "returned": len(items), "items": items, **({"truncated": True} if cut else {})}

    async def doc(self, user_id: int, app_id: int, asked: MongoById) -> Document:
        name, collection = self._collection(user_id, app_id, asked.collection)
        found = await _bounded(collection.find_one(_by_id(asked.id)))
        head = {**_head(user_id, app_id, name), "collection": asked.collection, "id": asked.id}
        return {**head, "doc": _shown(found) if found is not None else None}

    async def insert_one(self, user_id: int, app_id: int, asked: MongoDoc) -> Document:
        name, collection = self._collection(user_id, app_id, asked.collection)
        document = _object("doc", asked.doc)
        if not document:
            raise BadInput(Reason.MONGO_DOC_EMPTY)
        done = await _bounded(collection.insert_one(document))
        return {**_head(user_id, app_id, name), "collection": asked.collection, "insertedId": _id_text(done.inserted_id)}

    async def update_by_id(self, user_id: int, app_id: int, asked: MongoUpdate) -> Document:
        """``update`` has operators (``$set``…); a plain document sets its fields."""
        name, collection = self._collection(user_id, app_id, asked.collection)
        change = _object("update", asked.update)
        if not change:
            raise BadInput(Reason.MONGO_DOC_EMPTY)
        if not any(key.startswith("$") for key in change):
            change = {"$set": {k: v for k, v in change.items() if k != "_id"}}
        there = await _bounded(collection.find_one(_by_id(asked.id), {"_id": 1}))
        target = there["_id"] if there else _ids(asked.id)[0]
        done = await _bounded(collection.update_one({"_id": target}, change, upsert=asked.upsert))
        upserted = None if done.upserted_id is None else _id_text(done.upserted_id)
        counts = {"matchedCount": done.matched_count, "modifiedCount": done.modified_count, "upsertedId": upserted}
        return {**_head(user_id, app_id, name), "collection": asked.collection, "id": asked.id, **counts}

    async def delete_by_id(self, user_id: int, app_id: int, asked: MongoById) -> Document:
        name, collection = self._collection(user_id, app_id, asked.collection)
        done = await _bounded(collection.delete_one(_by_id(asked.id)))
        head = {**_head(user_id, app_id, name), "collection": asked.collection, "id": asked.id}
        return {**head, "deletedCount": done.deleted_count}

    async def create_collection(self, user_id: int, app_id: int, asked: MongoCreate) -> Document:
        name, db = self._database(user_id, app_id)
        _check_collection(asked.collection)
        schema = _schema(asked)
        options: Document = {"validator": {"$jsonSchema": schema}, "validationAction": "error"} if schema else {}
        if asked.collection in await _bounded(db.list_collection_names()):
            raise BadInput(Reason.MONGO_COLLECTION_EXISTS, name=asked.collection)
        await _bounded(db.create_collection(asked.collection, **options))
        return {**_head(user_id, app_id, name), "collection": asked.collection, "created": True}

    def _database(self, user_id: int, app_id: int) -> tuple[str, Any]:
        name = self._driver.name(user_id, app_id)
        return name, self._driver.database(name)

    def _collection(self, user_id: int, app_id: int, collection: str) -> tuple[str, AsyncCollection[Document]]:
        _check_collection(collection)
        name, db = self._database(user_id, app_id)
        return name, db[collection]


def _head(user_id: int, app_id: int, name: str) -> Document:
    return {"userId": str(user_id), "appId": str(app_id), "dbName": name}


def _check_collection(name: str) -> None:
    if name.startswith("system."):
        raise Forbidden(Reason.MONGO_COLLECTION_FORBIDDEN, name=name[:120])
    if not _COLLECTION.fullmatch(name):
        raise BadInput(Reason.MONGO_COLLECTION_INVALID)


async def _bounded(work: Awaitable[T]) -> T:
    """The server's refusals in the API's words. Raises BadInput, Unavailable, CalleeFailed.

    Each command of ``work``, writes too, carries what is left of the time; a server that doesn't keep to it isn't waited for.
    """
    try:
        async with asyncio.timeout(SECONDS * 2):
            with pymongo.timeout(SECONDS):
                return await work
    except (ExecutionTimeout, NetworkTimeout) as e:
        raise Unavailable(Reason.MONGO_TOO_SLOW, seconds=f"{SECONDS:g}") from e
    except (ConnectionFailure, TimeoutError) as e:
        raise Unavailable(Reason.DATABASE_AWAY, title="MongoDB", detail=type(e).__name__) from e
    except CollectionInvalid as e:
        raise BadInput(detail=str(e)[:200]) from e
    except OperationFailure as e:
        if e.code in (13, 18):  # the platform's account, not the caller's words
            raise CalleeFailed(Reason.DATABASE_REFUSED, title="MongoDB", detail=str(e)[:200]) from e
        raise BadInput(detail=str(e)[:300]) from e
    except (PyMongoError, BSONError, OverflowError, RecursionError, TypeError, ValueError) as e:
        raise BadInput(detail=str(e)[:300]) from e


def _object(what: str, given: str | Mapping[str, Any] | Sequence[Any]) -> Document:
    """A caller's JSON object as a document, with extended JSON's types. Raises BadInput."""
    text = given if isinstance(given, str) else json.dumps(given)
    if len(text) > MAX_TEXT:
        raise BadInput(Reason.MONGO_JSON_INVALID, what=what, detail=f"> {MAX_TEXT} bytes")
    try:
        _refuse_code(json.loads(text or "{}"), what, 0)
        found = json_util.loads(text or "{}")
    except (ValueError, TypeError, RecursionError, BSONError) as e:
        raise BadInput(Reason.MONGO_JSON_INVALID, what=what, detail=str(e)[:120]) from e
    if not isinstance(found, dict):
        raise BadInput(Reason.MONGO_JSON_INVALID, what=what, detail="{…}")
    return cast("Document", found)


def _refuse_code(value: Any, what: str, depth: int) -> None:
    """Operators that run JavaScript, at any depth; a string of JavaScript can't do harm elsewhere. Raises BadInput.

    Looked for in the plain JSON: among extended JSON's types a DBRef carries further keys to the server, which reads them.
    """
    if depth > MAX_DEPTH:
        raise BadInput(Reason.MONGO_JSON_INVALID, what=what, detail=f"> {MAX_DEPTH} levels")
    if isinstance(value, Mapping):
        for key, inner in cast("Mapping[str, Any]", value).items():
            if key.strip().lower() in SERVER_CODE:
                raise BadInput(Reason.MONGO_CODE_FORBIDDEN, name=key)
            _refuse_code(inner, what, depth + 1)
    elif isinstance(value, list):
        for inner in cast("list[Any]", value):
            _refuse_code(inner, what, depth + 1)


def _sort(given: str | Mapping[str, Any] | Sequence[Any] | None) -> list[tuple[str, int]]:
    """``{"at": -1}``, in its order. Raises BadInput."""
    if not given:
        return []
    order = _object("sort", given)
    for name, way in order.items():
        if type(way) is not int or way not in (1, -1) or name.startswith("$"):
            raise BadInput(Reason.MONGO_JSON_INVALID, what="sort", detail='{"field": 1 | -1}')
    return [(name, int(way)) for name, way in order.items()]


def _ids(text: str) -> list[Any]:
    """What an ``_id`` of this text may be: an ObjectId where it looks like one, else text, else a whole number."""
    found: list[Any] = [ObjectId(text)] if ObjectId.is_valid(text) else []
    number = [int(text)] if re.fullmatch(r"-?[0-9]{1,18}", text) else []
    return [*found, text, *number]


def _by_id(text: str) -> Document:
    return {"_id": {"$in": _ids(text)}}


def _id_text(value: Any) -> Any:
    return str(value) if isinstance(value, ObjectId | str) else _shown(value)


def _shown(value: Any) -> Any:
    """Plain JSON in MongoDB's relaxed extended form."""
    return json.loads(json_util.dumps(value, json_options=json_util.RELAXED_JSON_OPTIONS))


def _schema(asked: MongoCreate) -> Document:
    """The validator: of a list of fields, or the JSON schema that was given. Empty: none."""
    if not asked.fields:
        return {}
    fields: Any = asked.fields
    if isinstance(fields, str) and fields.lstrip().startswith("["):
        try:
            fields = [MongoField.model_validate(f) for f in json.loads(fields)]
        except (ValueError, RecursionError) as e:
            raise BadInput(Reason.MONGO_JSON_INVALID, what="fields", detail="[{name, type}]") from e
    if isinstance(fields, list):
        return _schema_of(cast("list[MongoField]", fields), asked.strict)
    schema = _object("fields", fields)
    return {"bsonType": "object", **schema} if schema else {}


def _schema_of(fields: Sequence[MongoField], strict: bool) -> Document:
    """``strict``: no other fields than these."""
    properties: Document = {}
    for field in fields:
        kind = _ALIASES.get(field.type.lower(), field.type)
        if kind not in _TYPES or field.name.startswith("$") or "." in field.name or "\0" in field.name:
            raise BadInput(
                Reason.MONGO_FIELD_INVALID, name=field.name[:60], type=field.type[:30], types=", ".join(sorted(_TYPES))
            )
        properties[field.name] = {"bsonType": [kind, "null"] if field.nullable else kind}
    required = [f.name for f in fields if f.required]
    closed: Document = {"additionalProperties": False} if strict else {}
    if strict:
        properties.setdefault("_id", {})
    return {"bsonType": "object", "properties": properties, **({"required": required} if required else {}), **closed}
