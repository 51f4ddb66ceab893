"""Connections to MariaDB after what may happen in the middle of a transaction: the next user finds a clean one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, bindparam, insert, select, text, update

from funai.base.db.engine import Conflicted, Database
from funai.base.db.rows import one_row

metadata = MetaData()
thing = Table("thing", metadata, Column("id", BigInteger, primary_key=True), Column("n", BigInteger, nullable=False))
MORE = update(thing).where(thing.c.id == bindparam("p_id")).values(n=thing.c.n + 1)


@pytest.fixture
async def db(mariadb_url: str) -> AsyncIterator[Database]:
    made = Database(mariadb_url, pool_size=1)
    async with made.write() as conn:
        await conn.run_sync(metadata.create_all)
        await conn.execute(insert(thing), [{"id": n, "n": 0} for n in (1, 2)])
    yield made
    await made.close()


@pytest.fixture
async def other(mariadb_url: str, db: Database) -> AsyncIterator[Database]:
    made = Database(mariadb_url, pool_size=1)
    yield made
    await made.close()


async def more(db: Database, ids: list[int]) -> None:
    async with db.write() as conn:
        for thing_id in ids:
            await conn.execute(MORE, {"p_id": thing_id})


async def clean(db: Database) -> list[int]:
    """The values that were committed, as the next user of each pool finds them in a transaction of its own."""
    async with db.write() as conn:
        assert (await conn.execute(text("SELECT @@in_transaction"))).scalar_one() == 0
        values = list((await conn.execute(select(thing.c.n).order_by(thing.c.id))).scalars())
    assert [row["n"] for row in await db.fetch_all(select(thing.c.n).order_by(thing.c.id))] == values
    return values


async def test_a_lock_that_is_waited_for_too_long_leaves_nothing_behind(db: Database, other: Database) -> None:
    async with other.write() as held:
        await held.execute(MORE, {"p_id": 1})
        async with db.write() as conn:
            await conn.execute(text("SET innodb_lock_wait_timeout = 1"))
        for ids in ([2, 1], [1]):
            with pytest.raises(Conflicted):
                await more(db, ids)
            assert await clean(db) == [0, 0]


@pytest.mark.parametrize("many", [False, True])
async def test_a_cancelled_statement_raises_only_the_cancellation(db: Database, other: Database, many: bool) -> None:
    async def stuck() -> None:
        async with db.write() as conn:
            await conn.execute(MORE, {"p_id": 2})
            await conn.execute(MORE, [{"p_id": 1}] if many else {"p_id": 1})

    async with other.write() as held:
        await held.execute(MORE, {"p_id": 1})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stuck()
    assert await clean(db) == [1, 0]


async def test_prepared_statements_live_on_when_their_table_changes(db: Database, other: Database) -> None:
    look = select(thing).where(thing.c.id == bindparam("p_id"))
    for change in ("ADD COLUMN more INT DEFAULT 3 FIRST", "MODIFY n INT NOT NULL", "DROP COLUMN more"):
        async with db.write() as conn:
            await conn.execute(MORE, {"p_id": 1})
            before = await one_row(conn, look, {"p_id": 1})
        async with other.write() as conn:
            await conn.execute(text(f"ALTER TABLE thing {change}"))
        async with db.write() as conn:
            assert await one_row(conn, look, {"p_id": 1}) == before
