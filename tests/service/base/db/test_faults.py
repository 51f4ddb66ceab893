"""Which of a database's errors pass by themselves, and which are ours; on all three."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, text
from sqlalchemy.exc import DBAPIError

from funai.base.db import migrate
from funai.base.db.engine import Database, Dialect
from funai.base.db.inserts import insert_new
from funai.contracts.errors import ConfigError, Unavailable
from funai.deploy import main as deploy
from funai.deploy.queue.notify import postgres_address

thing = Table("thing", MetaData(), Column("id", Integer, primary_key=True), Column("word", String(4), nullable=False))


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    async with database.write() as conn:
        await conn.run_sync(thing.metadata.create_all)
    yield database
    await database.close()


@pytest.mark.parametrize("statement", ["SELECT no_such_column FROM thing", "SELECT 1 FROM no_such_table", "SELEKT 1"])
async def test_statement_that_can_never_work_is_no_try_again(db: Database, statement: str) -> None:
    with pytest.raises(DBAPIError):
        async with db.read() as conn:
            await conn.execute(text(statement))


async def test_insert_new_tells_new_from_there_and_keeps_the_transaction(db: Database) -> None:
    async with db.write() as conn:
        assert await insert_new(conn, thing, {"id": 1, "word": "a"})
        assert not await insert_new(conn, thing, {"id": 1, "word": "b"})
        assert await insert_new(conn, thing, {"id": 2, "word": "c"})
    assert [row["word"] for row in await db.fetch_all(thing.select().order_by(thing.c.id))] == ["a", "c"]


async def test_insert_new_swallows_no_bad_value(db: Database) -> None:
    if db.dialect is Dialect.SQLITE:
        pytest.skip("SQLite keeps any text in any column")
    with pytest.raises(DBAPIError):
        async with db.write() as conn:
            await insert_new(conn, thing, {"id": 1, "word": "too long"})


async def test_statement_that_runs_for_too_long_is_ended_and_may_be_tried_again(db: Database) -> None:
    limit, sleep = {
        Dialect.POSTGRESQL: ("SET LOCAL statement_timeout = 50", "SELECT pg_sleep(60)"),
        Dialect.MYSQL: ("SET SESSION max_statement_time = 0.05", "SELECT SLEEP(60) FROM thing"),
    }.get(db.dialect, ("", ""))
    if not limit:
        pytest.skip("SQLite has no such limit: its one writer is this process")
    async with db.write() as conn:
        await insert_new(conn, thing, {"id": 1, "word": "a"})
        setting = "max_statement_time" if db.dialect is Dialect.MYSQL else "statement_timeout"
        of = f"SELECT @@{setting}" if db.dialect is Dialect.MYSQL else f"SHOW {setting}"
        assert str((await conn.execute(text(of))).scalar_one()).startswith("30")

    async def sleeping() -> None:
        async with db.write() as conn:
            await conn.execute(text(limit))
            await conn.execute(text(sleep))

    with pytest.raises(Unavailable):
        await sleeping()


async def test_upgrade_beside_another_instances_waits_for_its_lock_and_says_so(
    mariadb_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, db = Database(mariadb_url), Database(mariadb_url)
    monkeypatch.setattr(migrate, "LOCK_SECONDS", 0)
    async with other.write() as conn:
        await conn.execute(text("SELECT GET_LOCK('funai_migrate', 1)"))
        with pytest.raises(ConfigError, match="another instance"):
            await deploy.upgrade(db)
        await conn.execute(text("SELECT RELEASE_LOCK('funai_migrate')"))
    await deploy.upgrade(db)
    await db.close()
    await other.close()


def test_postgres_address_means_what_the_pools_own_address_means() -> None:
    address = postgres_address(Database("postgresql://u:p%40ss@db.example:6543/x?ssl=require&prepared_statement_cache_size=7"))
    assert address == {"host": "db.example", "port": 6543, "user": "u", "password": "p@ss", "database": "x", "ssl": "require"}
