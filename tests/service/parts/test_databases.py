"""The databases of the tests' own: they serve, and they keep what was committed when killed."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from funai.base.db.engine import Database
from tests.parts.databases import MariaDB, Postgres


async def test_each_answers_on_a_fresh_database(database_url: str) -> None:
    db = Database(database_url)
    async with db.write() as conn:
        await conn.execute(text("CREATE TABLE t (a INT)"))
        await conn.execute(text("INSERT INTO t VALUES (1)"))
        assert (await conn.execute(text("SELECT a FROM t"))).scalar_one() == 1
    await db.close()


@pytest.mark.parametrize("part", ["postgres", "mariadb"])
async def test_a_commit_survives_kill_9(part: str, request: pytest.FixtureRequest) -> None:
    server: Postgres | MariaDB = request.getfixturevalue(part)
    engine = create_async_engine(request.getfixturevalue(f"{part}_url"))
    async with engine.begin() as db:
        await db.execute(text("CREATE TABLE t (a INT)"))
    async with engine.begin() as db:
        await db.execute(text("INSERT INTO t VALUES (1)"))
    server.kill()
    with pytest.raises((DBAPIError, OSError)):
        async with engine.begin() as db:
            await db.execute(text("SELECT 1"))
    await engine.dispose()
    server.start()
    async with engine.begin() as db:
        assert (await db.execute(text("SELECT a FROM t"))).scalar_one() == 1
    await engine.dispose()
