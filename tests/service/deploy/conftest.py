"""Deploy's tables in each of the three databases: made once a session there, emptied for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funai.base.db.engine import Database
from funai.deploy import tables
from funai.deploy.main import upgrade
from funai.deploy.placement.policy import Rules
from tests.service.deploy.plane import Calls, Plane

_NAME = "deploy_rooms"


@pytest.fixture(scope="session")
def made_databases() -> dict[str, str]:
    """URLs of the databases that have the tables already, by kind."""
    return {}


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
async def deploy_db(request: pytest.FixtureRequest, made_databases: dict[str, str]) -> AsyncIterator[Database]:
    """Deploy's own tables, empty, as its migrations make them; the test runs once on each kind of database."""
    kind: str = request.param
    if kind == "sqlite":
        db = Database(request.getfixturevalue("sqlite_url"))
        await upgrade(db)
    elif kind not in made_databases:
        server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
        made_databases[kind] = server.create_database(_NAME)
        db = Database(made_databases[kind])
        await upgrade(db)
    else:
        db = Database(made_databases[kind])
        async with db.write() as conn:
            for table in tables.metadata.sorted_tables:
                await conn.execute(table.delete())
    yield db
    await db.close()


@pytest.fixture
def plane(deploy_db: Database) -> Plane:
    return Plane(deploy_db, Calls(), Rules())


@pytest.fixture
async def lite(sqlite_url: str) -> AsyncIterator[Plane]:
    """The same on SQLite only, for what doesn't depend on the database."""
    db = Database(sqlite_url)
    await upgrade(db)
    yield Plane(db, Calls(), Rules())
    await db.close()
