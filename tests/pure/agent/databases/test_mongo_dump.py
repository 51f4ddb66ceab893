"""The stream of a MongoDB backup: every type of BSON byte for byte, collections and indexes as the server told them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import bson
import pytest
from bson import DBRef, Decimal128, Int64, MaxKey, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.code import Code

from funai.agent.databases.mongodb.dump import DumpBroken, creation, indexing, packed, unpacked

VALUES: dict[str, Any] = {
    "double": 1.5,
    "infinity": float("-inf"),
    "not a number": float("nan"),
    "negative zero": -0.0,
    "string": "中\0文",
    "document": {"b": 1, "a": {"$set": 2}},
    "array": [1, "x", None, [ObjectId(b"0" * 12)]],
    "binary": b"\0\1\xff",
    "uuid": Binary(b"u" * 16, 4),
    "old uuid": Binary(b"u" * 16, 3),
    "vector": Binary(b"\x27\x00\x00\x00\xc0\x3f", 9),
    "own subtype": Binary(b"x", 0x80),
    "objectId": ObjectId(b"a" * 12),
    "bool": False,
    "date before 1970": datetime(1960, 1, 2, 3, 4, 5, 678000, tzinfo=UTC),
    "null": None,
    "regex": Regex("^ä", "im"),
    "reference": DBRef("c", ObjectId(b"b" * 12), "other"),
    "code": Code("return 1"),
    "code with scope": Code("return a", {"a": 1}),
    "int": -7,
    "long": Int64(7),
    "large long": 1 << 62,
    "timestamp": Timestamp(5, 6),
    "decimal": Decimal128("1.10"),
    "decimal not a number": Decimal128("NaN"),
    "min": MinKey(),
    "max": MaxKey(),
}


async def stream(frames: Sequence[bytes], cut: int | None = None, step: int = 1) -> AsyncIterator[bytes]:
    async def given() -> AsyncIterator[bytes]:
        for frame in frames:
            yield frame

    whole = b"".join([piece async for piece in packed(given())])[:cut]
    for at in range(0, len(whole), step):
        yield whole[at : at + step]


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
async def test_stream_of_every_type_gives_each_document_back_byte_for_byte(step: int) -> None:
    documents = [bson.encode({"_id": name, "v": value}) for name, value in VALUES.items()]
    found = [frame async for frame in unpacked(stream([b"D" + d for d in documents], step=step))]
    assert [raw for kind, raw in found if kind == b"D"] == documents
    assert [kind for kind, _ in found][-1] == b"E"


async def test_stream_of_something_else_is_refused() -> None:
    async def text() -> AsyncIterator[bytes]:
        yield b"mongodump"

    with pytest.raises(DumpBroken):
        _ = [frame async for frame in unpacked(text())]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"capped": True, "size": 4096, "max": 10},
        {"validator": {"$jsonSchema": {"bsonType": "object"}}, "validationLevel": "strict", "validationAction": "error"},
        {"collation": {"locale": "de", "strength": 2, "version": "57.1"}},
        {"viewOn": "todos", "pipeline": [{"$match": {"done": False}}], "collation": {"locale": "de"}},
        {"timeseries": {"timeField": "at", "granularity": "seconds", "bucketMaxSpanSeconds": 3600}, "expireAfterSeconds": 60},
        {"clusteredIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_", "unique": True}},
    ],
)
def test_creation_has_the_options_that_the_server_told(options: dict[str, Any]) -> None:
    assert creation({"name": "c", "options": options, "indexes": []}) == {"create": "c", **options}


def test_indexing_has_every_index_as_the_server_told_it_but_the_one_of_the_id() -> None:
    own = [
        {"key": {"a": 1, "b": -1}, "name": "a_1_b_-1", "unique": True, "sparse": True},
        {"key": {"t": 1}, "name": "t_1", "expireAfterSeconds": 5},
        {"key": {"d": 1}, "name": "d_1", "collation": {"locale": "de", "version": "57.1"}, "hidden": True},
        {"key": {"_fts": "text", "_ftsx": 1}, "name": "d_text", "weights": {"d": 1}, "textIndexVersion": 3},
        {"key": {"e": 1}, "name": "e_1", "partialFilterExpression": {"e": {"$gt": 1}}},
        {"key": {"$**": 1}, "name": "$**_1", "wildcardProjection": {"secret": 0}},
    ]
    named = [{"v": 2, **index, "ns": "db.c"} for index in own]  # servers before 4.4 told the collection too
    assert indexing("c", [{"v": 2, "key": {"_id": 1}, "name": "_id_"}, *named]) == {"createIndexes": "c", "indexes": own}
    assert indexing("c", [{"v": 2, "key": {"_id": 1}, "name": "_id_"}]) is None
