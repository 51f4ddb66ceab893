"""A backup of a real server's database: what it holds and how comes back as it was. FerretDB takes a part of it."""

from __future__ import annotations

from typing import Any

from bson import Decimal128, MaxKey, MinKey, Regex, Timestamp
from bson.binary import Binary
from bson.code import Code
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection

from funai.agent.databases.mongodb.dump import dump, restore
from tests.parts.ferretdb import Mongo

COMMON: list[Any] = [1.5, -0.0, "中", {"b": 1, "a": 2}, [1, "x", None], b"\0\1", Binary(b"u" * 16, 4), True, None]
COMMON_TOO: list[Any] = [Regex("^a", "im"), 7, 1 << 62, Timestamp(5, 6)]
MONGOD: list[Any] = [Decimal128("1.10"), float("inf"), MinKey(), MaxKey(), Code("x"), Code("x", {"a": 1})]
KINDS: dict[str, dict[str, Any]] = {
    "checked": {"validator": {"$jsonSchema": {"bsonType": "object"}}},
    "german": {"collation": {"locale": "de"}},
    "seen": {"viewOn": "values", "pipeline": []},
}

RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
Client = AsyncMongoClient[dict[str, Any]]


async def _facts(client: Client, name: str) -> dict[str, Any]:
    """Of each collection its options, its indexes and its documents' bytes."""
    found: dict[str, Any] = {}
    for info in [i async for i in await client[name].list_collections()]:
        raw: AsyncCollection[Any] = client[name].get_collection(info["name"], codec_options=RAW)
        documents: list[bytes] = [d.raw async for d in raw.find().sort("_id", 1)]
        indexes = [] if info["type"] == "view" else [dict(i) async for i in await client[name][info["name"]].list_indexes()]
        found[info["name"]] = (info["options"], indexes, documents)
    return found


async def test_restore_of_a_dump_brings_back_types_indexes_and_options_as_they_were(mongo: Mongo) -> None:
    async with Client("127.0.0.1", mongo.port) as client:
        db = client["dumped"]
        values = [*COMMON, *COMMON_TOO, *(MONGOD if mongo.own else [])]
        await db["values"].insert_many([{"_id": n, "v": value} for n, value in enumerate(values)])
        await db["values"].create_index([("v", 1), ("_id", -1)], unique=True)
        await db.create_collection("last", capped=True, size=8192, max=10)
        for name, options in KINDS.items() if mongo.own else ():
            await db.create_collection(name, **options)
        try:
            before = await _facts(client, "dumped")
            await restore(client["restored"], dump(db))
            assert await _facts(client, "restored") == before
            assert len(before["values"][2]) == len(values)
        finally:
            for name in ("dumped", "restored"):
                await client.drop_database(name)
