"""The Mongo explorer on a real server: its seven calls, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from funai.agent.databases.contract import AppKey
from funai.agent.databases.mongodb import explorer
from funai.contracts.apps.databases import Kind
from tests.parts.ferretdb import Mongo
from tests.service.agent.agent import World, world
from tests.service.agent.databases.mongo_wire import Wire
from tests.service.agent.databases.tenant import MongoTenant

BASE = "/api/fun-ai/deploy/mongo"
WHO = {"userId": 1, "appId": 41}


@pytest.fixture
async def here(mongo: Mongo) -> AsyncIterator[World]:
    async with world(mongo_host="127.0.0.1", mongo_port=mongo.port, mongo_drop_on_delete=True) as w:
        yield w
        await w.http.post("/agent/apps/delete", json=WHO)


async def call(w: World, verb: str, code: int = 200, **body: Any) -> dict[str, Any]:
    answer = await w.http.post(f"{BASE}/{verb}", params=WHO, json={"collection": "notes", **body})
    assert answer.status_code == code, answer.text
    return answer.json()


async def look(w: World, verb: str, code: int = 200, **params: Any) -> dict[str, Any]:
    answer = await w.http.get(f"{BASE}/{verb}", params={**WHO, **params})
    assert answer.status_code == code, answer.text
    return answer.json()


async def test_a_document_is_inserted_found_changed_and_deleted(here: World) -> None:
    head = {"userId": "1", "appId": "41", "dbName": "db_u1_a41"}
    made = await call(here, "insert-one", doc={"text": "one", "n": 1})
    id = made["insertedId"]
    assert made == {**head, "collection": "notes", "insertedId": id}
    assert await look(here, "collections") == {**head, "collections": ["notes"]}
    found = await call(here, "find", filter='{"text": "one"}')
    assert (found["limit"], found["skip"], found["returned"]) == (50, 0, 1)
    assert found["items"] == [{"_id": {"$oid": id}, "text": "one", "n": 1}]
    changed = await call(here, "update-by-id", id=id, update='{"$set": {"text": "two"}}')
    assert (changed["matchedCount"], changed["modifiedCount"], changed["upsertedId"]) == (1, 1, None)
    assert (await look(here, "doc", collection="notes", id=id))["doc"]["text"] == "two"
    assert (await call(here, "delete-by-id", id=id))["deletedCount"] == 1
    assert (await look(here, "doc", collection="notes", id=id))["doc"] is None


async def test_ids_that_are_texts_and_numbers_are_found(here: World) -> None:
    for id in ("plain", 17):
        await call(here, "insert-one", doc={"_id": id})
        assert (await look(here, "doc", collection="notes", id=str(id)))["doc"] == {"_id": id}


async def test_update_by_id_with_upsert_makes_the_document(here: World) -> None:
    made = await call(here, "update-by-id", id="new", update={"text": "x"}, upsert=True)
    assert (made["matchedCount"], made["upsertedId"]) == (0, "new")


async def test_find_sorts_skips_and_keeps_to_its_page(here: World) -> None:
    for n in range(5):
        await call(here, "insert-one", doc={"n": n})
    found = await call(here, "find", sort='{"n": -1}', limit=2, skip=1, projection='{"n": 1, "_id": 0}')
    assert found["items"] == [{"n": 3}, {"n": 2}]
    assert (await call(here, "find", limit=200))["returned"] == 5


@pytest.mark.parametrize(
    "body",
    [
        {"filter": "{not json"},
        {"filter": "[1]"},
        {"filter": '{"$where": "1"}'},
        {"filter": '{"a": [{"$expr": {"$function": {}}}]}'},
        {"filter": '{"a": {"$accumulator": {}}}'},
        {"filter": '{"a": ' * 500 + "1" + "}" * 500},
        {"projection": '{"x": {"$function": {}}}'},
        {"sort": '{"a": "up"}'},
        {"limit": 201},
        {"limit": 0},
        {"skip": 10001},
        {"collection": "no way"},
        {"collection": ".x"},
        {"collection": "x" * 121},
        {"collection": "$cmd"},
    ],
)
async def test_find_that_is_not_acceptable_is_400(here: World, body: dict[str, Any]) -> None:
    await call(here, "find", code=400, **body)


@pytest.mark.parametrize("verb", ["find", "insert-one", "delete-by-id", "create-collection", "update-by-id"])
async def test_system_collections_are_forbidden(here: World, verb: str) -> None:
    body = {"collection": "system.users", "id": "1", "doc": {"a": 1}, "update": {"a": 1}}
    assert (await call(here, verb, code=403, **body))["reason"] == "MONGO_COLLECTION_FORBIDDEN"


@pytest.mark.parametrize(
    "filter",
    [
        '{"$or": [{"$ref": "notes", "$id": 1, "$where": "sleep(9)"}]}',
        '{"a": {"$ref": "notes", "$id": {"$WHERE ": "1"}}}',
    ],
)
async def test_code_within_extended_jsons_types_is_refused_by_its_name(here: World, filter: str) -> None:
    assert (await call(here, "find", code=400, filter=filter))["reason"] == "MONGO_CODE_FORBIDDEN"


class Full:
    """A database over its quota, whose account is the app's own."""

    kind = Kind.MONGO

    async def size(self, app: AppKey) -> int:
        return 2

    async def limited(self, app: AppKey) -> bool:
        return True


async def test_explorer_writes_nothing_over_the_quota_and_deletes_all_the_same(here: World) -> None:
    made = await call(here, "insert-one", doc={"a": 1})
    databases = here.parts.databases
    assert databases.ledger.rotation(41, Kind.MONGO) == 0, "from the first write on it is measured"
    databases.quota.limit = 1
    await databases.quota.check(cast("Any", Full()), AppKey(1, 41, "db_u1_a41"))
    for verb in ("insert-one", "update-by-id", "create-collection"):
        body = {"id": "1", "doc": {"a": 1}, "update": {"a": 1}, "upsert": True}
        assert (await call(here, verb, code=409, **body))["reason"] == "DATABASE_FULL"
    assert (await call(here, "delete-by-id", id=made["insertedId"]))["deletedCount"] == 1


async def test_an_empty_document_is_400(here: World) -> None:
    assert (await call(here, "insert-one", code=400, doc={}))["reason"] == "MONGO_DOC_EMPTY"


async def test_create_collection_makes_it_once(here: World) -> None:
    assert (await call(here, "create-collection"))["created"] is True
    assert (await call(here, "create-collection", code=400))["reason"] == "MONGO_COLLECTION_EXISTS"


async def test_find_answers_no_more_than_its_bytes(here: World, mongo: Mongo) -> None:
    tenant = MongoTenant(f"mongodb://127.0.0.1:{mongo.port}/db_u1_a41")
    for _ in range(3):
        await tenant.write("x" * 2_000_000)
    found = await call(here, "find")
    assert (found["returned"], found["truncated"]) == (2, True)


async def test_without_the_token_every_call_is_401(here: World) -> None:
    for verb in ("collections", "doc"):
        answer = await here.http.get(
            f"{BASE}/{verb}", params={**WHO, "collection": "c", "id": "1"}, headers={"X-Runtime-Token": "no"}
        )
        assert answer.status_code == 401
    answer = await here.http.post(f"{BASE}/find", params=WHO, json={"collection": "c"}, headers={"X-Runtime-Token": "no"})
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("command", "verb", "body"),
    [("find", "find", {}), ("delete", "delete-by-id", {"id": "x"}), ("insert", "insert-one", {"doc": {"n": 1}})],
)
async def test_call_that_the_server_takes_too_long_for_ends_with_the_limits_error(
    mongo: Mongo, monkeypatch: pytest.MonkeyPatch, command: str, verb: str, body: dict[str, Any]
) -> None:
    """Writes have the limit too, and a server that doesn't keep to it isn't called away."""
    wire = Wire(command)
    async with wire.before(mongo.port) as port, world(mongo_host="127.0.0.1", mongo_port=port) as w:
        await look(w, "collections")
        monkeypatch.setattr(explorer, "SECONDS", 0.5)
        answer = await call(w, verb, 503, **body)
        assert answer["reason"] == "MONGO_TOO_SLOW"
    allowed = wire.milliseconds[command]
    assert allowed is not None
    assert 0 < allowed <= 500
