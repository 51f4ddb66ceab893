"""SQLite on the loop's thread: it waits for others without holding the loop, and shows every reader the present."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import text

from funai.base.db import sqlite
from funai.base.db.engine import Conflicted, Database


async def made(url: str) -> Database:
    db = Database(url, pool_size=1)
    async with db.write() as conn:
        await conn.execute(text("CREATE TABLE t (n INTEGER)"))
        await conn.execute(text("INSERT INTO t VALUES (1), (2), (3)"))
    return db


async def test_another_process_holds_the_lock_and_the_loop_goes_on(sqlite_url: str, tmp_path: Path) -> None:
    db = await made(sqlite_url)
    other = sqlite3.connect(tmp_path / "deploy.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def write() -> None:
        async with db.write() as conn:
            await conn.execute(text("INSERT INTO t VALUES (4)"))

    writing = asyncio.create_task(write())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not writing.done()
    other.execute("COMMIT")
    await writing
    other.close()
    assert await db.fetch_one(text("SELECT count(*) AS n FROM t")) == {"n": 4}
    await db.close()


async def test_waiting_ends(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = await made(sqlite_url)
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    other = sqlite3.connect(tmp_path / "deploy.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Conflicted):
        async with db.write() as conn:
            await conn.execute(text("INSERT INTO t VALUES (4)"))
    other.close()
    await db.close()


async def test_a_half_read_answer_keeps_no_snapshot(sqlite_url: str) -> None:
    db, second = await made(sqlite_url), Database(sqlite_url)
    async with db.read() as conn:
        half = await conn.execute(text("SELECT n FROM t ORDER BY n"))
        assert half.fetchone() == (1,)
    async with second.write() as conn:
        await conn.execute(text("INSERT INTO t VALUES (4)"))
    assert await db.fetch_one(text("SELECT count(*) AS n FROM t")) == {"n": 4}
    await second.close()
    await db.close()
