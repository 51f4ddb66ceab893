"""Deploy's tables in each of the three databases: made once a session there, emptied for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from funai.base.db.engine import Database
from funai.deploy import tables
from funai.deploy.main import upgrade
from funai.deploy.placement.policy import Rules
from tests.parts.databases import MariaDB, Postgres
from tests.parts.migrated import migrated as migrated_file
from tests.service.deploy.plane import Calls, Plane

_NAME = "deploy_rooms"


class Migrated:
    """One database of each kind that Deploy's migrations have been run on: running them takes longer than most tests."""

    def __init__(self) -> None:
        self._urls: dict[str, str] = {}

    def empty(self, kind: str, create: Callable[[], str]) -> str:
        """The kind's database without a row; ``create`` answers the URL of a new one, the first time."""
        if kind in self._urls:
            asyncio.run(_emptied(self._urls[kind]))
        else:
            self._urls[kind] = create()
            asyncio.run(_migrated(self._urls[kind]))
        return self._urls[kind]


async def _migrated(url: str) -> None:
    db = Database(url)
    await upgrade(db)
    await db.close()


async def _emptied(url: str) -> None:
    db, every = Database(url), tables.metadata.sorted_tables
    async with db.write() as conn:
        if url.startswith("postgresql"):
            await conn.execute(text(f"TRUNCATE {', '.join(table.name for table in every)} RESTART IDENTITY"))
        else:
            for table in every:
                await conn.execute(table.delete())
            for table in every:
                if table.autoincrement_column is not None:
                    await conn.execute(text(f"ALTER TABLE {table.name} AUTO_INCREMENT = 1"))
    await db.close()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file for one test, with Deploy's tables and no rows."""
    return migrated_file(upgrade, tmp_path / "deploy.db")


@pytest.fixture(scope="session")
def migrated() -> Migrated:
    return Migrated()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database_url(request: pytest.FixtureRequest, migrated: Migrated) -> str:
    """A database with Deploy's tables and no rows; the test runs once on each kind."""
    kind: str = request.param
    if kind == "sqlite":
        url: str = request.getfixturevalue("sqlite_url")
        return url
    server: Postgres | MariaDB = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
    return migrated.empty(kind, lambda: server.create_database(_NAME))


@pytest.fixture
async def deploy_db(database_url: str) -> AsyncIterator[Database]:
    """The same, open."""
    db = Database(database_url)
    yield db
    await db.close()


@pytest.fixture
async def plane(deploy_db: Database) -> AsyncIterator[Plane]:
    made = Plane(deploy_db, Calls(), Rules())
    yield made
    await made.heartbeats.close()


@pytest.fixture
async def lite(sqlite_url: str) -> AsyncIterator[Plane]:
    """The same on SQLite only, for what doesn't depend on the database."""
    db = Database(sqlite_url)
    made = Plane(db, Calls(), Rules())
    yield made
    await made.heartbeats.close()
    await db.close()
