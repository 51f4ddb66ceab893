"""An app, as far as its database sees it: it has a URL and nothing else."""

from __future__ import annotations

from typing import Any, Protocol

import asyncpg
from pymongo import MongoClient


class Tenant(Protocol):
    def __init__(self, url: str) -> None: ...

    async def write(self, text: str) -> None: ...

    async def read(self) -> list[str]: ...

    async def clear(self) -> None: ...


class PostgresTenant:
    def __init__(self, url: str) -> None:
        self.url = url

    async def sql(self, statement: str, *args: str) -> list[Any]:
        conn: Any = await asyncpg.connect(self.url)
        try:
            return await conn.fetch(statement, *args)
        finally:
            await conn.close()

    async def write(self, text: str) -> None:
        await self.sql("CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY, text text)")
        await self.sql("INSERT INTO notes (text) VALUES ($1)", text)

    async def read(self) -> list[str]:
        return [row["text"] for row in await self.sql("SELECT text FROM notes ORDER BY id")]

    async def clear(self) -> None:
        await self.sql("DELETE FROM notes")


class MongoTenant:
    def __init__(self, url: str) -> None:
        self.url = url

    async def write(self, text: str) -> None:
        with MongoClient[dict[str, Any]](self.url) as client:
            client.get_default_database()["notes"].insert_one({"text": text})

    async def read(self) -> list[str]:
        with MongoClient[dict[str, Any]](self.url) as client:
            return [d["text"] for d in client.get_default_database()["notes"].find().sort("_id", 1)]

    async def clear(self) -> None:
        with MongoClient[dict[str, Any]](self.url) as client:
            client.get_default_database()["notes"].delete_many({})
