"""A MongoDB database as one stream, without programs that Debian has no package of.

After eight bytes of magic come frames, the whole compressed with gzip: one letter, then a BSON document, which knows its own
length. ``C`` is a collection with its options and indexes, ``D`` a document of the collection before it as the server sent it,
``E`` the end: a stream without one is broken. Documents are never decoded, so every type comes back as it was.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import bson
from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

MAGIC = b"FUNAIDB1"
PIECE = 256 * 1024
BATCH_BYTES, BATCH_COUNT = 8 << 20, 1000
MAX_DOCUMENT = 17 << 20
_RAW: CodecOptions[Any] = CodecOptions(document_class=RawBSONDocument)
_PLAIN: CodecOptions[dict[str, object]] = CodecOptions()
_GZIP = 31

Database = AsyncDatabase[dict[str, object]]


class DumpBroken(Exception):
    """The stream is cut short, or is no dump of ours."""


async def dump(db: Database) -> AsyncIterator[bytes]:
    """All collections in order of name. Not a snapshot: what is written meanwhile may or may not be in it."""
    async for piece in packed(_frames(db)):
        yield piece


async def packed(frames: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The stream of these frames, with its end."""
    pack = zlib.compressobj(wbits=_GZIP)
    out = bytearray(pack.compress(MAGIC))
    async for frame in frames:
        out += pack.compress(frame)
        if len(out) >= PIECE:
            yield bytes(out)
            out.clear()
    out += pack.compress(b"E" + bson.encode({})) + pack.flush()
    yield bytes(out)


async def _frames(db: Database) -> AsyncIterator[bytes]:
    infos = [info async for info in await db.list_collections()]
    for info in sorted(infos, key=lambda i: str(i["name"])):
        name, plain = str(info["name"]), info.get("type", "collection") != "view"
        if name.startswith("system."):
            continue
        indexes = [dict(index) async for index in await db[name].list_indexes()] if plain else []
        yield b"C" + bson.encode({"name": name, "options": info.get("options") or {}, "indexes": indexes})
        if plain:
            raw: AsyncCollection[Any] = db.get_collection(name, codec_options=_RAW)
            async for document in raw.find({}):
                yield b"D" + document.raw


async def restore(db: Database, chunks: AsyncIterator[bytes]) -> None:
    """Replace every collection by those of the dump. Raises DumpBroken."""
    for name in await db.list_collection_names():
        if not name.startswith("system."):
            await db.drop_collection(name)
    name, size, ended = "", 0, False
    indexes: list[dict[str, Any]] = []
    batch: list[RawBSONDocument] = []
    async for kind, raw in unpacked(chunks):
        if kind == b"D" and size + len(raw) <= BATCH_BYTES and len(batch) < BATCH_COUNT:
            batch.append(RawBSONDocument(raw))
            size += len(raw)
            continue
        await _insert(db, name, batch)
        batch, size = ([RawBSONDocument(raw)], len(raw)) if kind == b"D" else ([], 0)
        if kind in (b"C", b"E"):
            await _index(db, name, indexes)
            name, indexes, ended = "", [], kind == b"E"
        if kind == b"C":
            head: dict[str, Any] = bson.decode(raw, _PLAIN)  # pyright: ignore[reportUnknownMemberType]
            name, indexes = str(head["name"]), list(head["indexes"])
            await db.command(creation(head))
    if not ended:
        raise DumpBroken("the backup is cut short")


async def _insert(db: Database, name: str, batch: Sequence[RawBSONDocument]) -> None:
    if batch and name:
        await db.get_collection(name, codec_options=_RAW).insert_many(batch, ordered=False, bypass_document_validation=True)


async def _index(db: Database, name: str, indexes: list[dict[str, object]]) -> None:
    if command := indexing(name, indexes):
        await db.command(command)


def creation(head: Mapping[str, Any]) -> dict[str, Any]:
    """The command that makes a collection or view as ``listCollections`` described it."""
    return {"create": head["name"], **head["options"]}


def indexing(name: str, indexes: Sequence[Mapping[str, object]]) -> dict[str, object] | None:
    """The command that makes indexes as ``listIndexes`` described them; None where there is but the one of ``_id``.

    Without ``v``, as mongorestore does it: the form on the disk is the new server's own matter.
    """
    own = [{k: v for k, v in index.items() if k not in ("ns", "v")} for index in indexes if index.get("name") != "_id_"]
    return {"createIndexes": name, "indexes": own} if own else None


async def unpacked(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[bytes, bytes]]:
    """(letter, document) of each frame. Raises DumpBroken for what is no stream of ours."""
    unpack, held, began = zlib.decompressobj(wbits=_GZIP), bytearray(), False
    async for chunk in chunks:
        try:
            held += unpack.decompress(chunk)
        except zlib.error as e:
            raise DumpBroken("the backup is no dump of a MongoDB database") from e
        if not began and len(held) >= len(MAGIC):
            if not held.startswith(MAGIC):
                raise DumpBroken("the backup is no dump of a MongoDB database")
            del held[: len(MAGIC)]
            began = True
        at = 0
        while began and len(held) - at >= 5:
            length = int.from_bytes(held[at + 1 : at + 5], "little")
            if not 5 <= length <= MAX_DOCUMENT:
                raise DumpBroken("the backup is damaged")
            if len(held) - at < 1 + length:
                break
            yield bytes(held[at : at + 1]), bytes(held[at + 1 : at + 1 + length])
            at += 1 + length
        del held[:at]
