"""Apps' databases in this machine's own MongoDB, in and out of ``funai backup``: one dump a database, as the agent makes them.

A running server's files can't be copied; those of a stopped platform's can. Apps' accounts are not in the dumps: the agent
makes them at an app's next deploy or start.
"""

from __future__ import annotations

from pathlib import Path

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from funai.agent.databases.backups import chunks
from funai.agent.databases.mongodb import dump as mongo_dump
from funai.contracts.errors import ConfigError
from funai.standalone.layout import DataDirLock, Layout, Secrets
from funai.standalone.parts import mongo

FOLDER = "dumps"
"""Below ``mongo`` in a data dir: what a backup brought and no start has taken over yet."""
_OWN = frozenset({"admin", "config", "local"})


class DumpsFailed(Exception):
    """The server refused, or a dump is damaged."""


async def take(layout: Layout, secrets: Secrets, folder: Path) -> list[Path] | None:
    """A dump of each database into ``folder``. None where no server answers and no platform runs: its files are whole.

    Raises ConfigError when a server should answer.
    """
    at = mongo.address(layout)
    if at is None:
        return None
    url = f"mongodb://{mongo.USER}:{secrets.mongo.get_secret_value()}@{at}/?authSource=admin"
    if not await mongo.answers(url):
        try:
            with DataDirLock(layout):
                return None
        except ConfigError as e:
            told = (
                f"MongoDB at {at} does not answer, and without it the backup lacks apps' databases; see {layout.log}/mongo.log"
            )
            raise ConfigError([told]) from e
    made: list[Path] = []
    async with _client(url) as client:
        try:
            for name in sorted(set(await client.list_database_names()) - _OWN):
                file = folder / f"{name}.dump"
                with file.open("wb") as out:
                    async for piece in mongo_dump.dump(client[name]):
                        out.write(piece)
                made.append(file)
        except PyMongoError as e:
            raise ConfigError([f"MongoDB at {at}: {str(e)[:300]}"]) from e
    return made


async def bring_back(layout: Layout, url: str) -> int:
    """Restore the dumps that a backup brought; each is removed once its database is whole. Raises DumpsFailed."""
    files = sorted((layout.mongo / FOLDER).glob("*.dump"))
    if not files:
        return 0
    async with _client(url) as client:
        for file in files:
            try:
                await mongo_dump.restore(client[file.stem], chunks(file))
            except (PyMongoError, mongo_dump.DumpBroken, OSError) as e:
                raise DumpsFailed(f"{file}: {str(e)[:300]}") from e
            file.unlink()
    return len(files)


def _client(url: str) -> AsyncMongoClient[dict[str, object]]:
    return AsyncMongoClient(url, serverSelectionTimeoutMS=5000, tz_aware=True)
