"""SQLite's log goes back into the file beside the work, and does not grow while there is work."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sqlalchemy import text

from funai.base.db import checkpoints
from funai.base.db.engine import Database, sqlite_url
from tests.parts.waiting import eventually


def pages_in_the_file(file: Path) -> int:
    """What the database file itself has, whatever its log holds."""
    return file.stat().st_size // 4096


async def write(db: Database, times: int, size: int) -> None:
    for _ in range(times):
        async with db.write() as conn:
            await conn.execute(text("INSERT INTO t VALUES (:x)"), {"x": "x" * size})


async def test_work_alone_brings_the_log_back_into_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    db = Database(sqlite_url(file))
    async with db.write() as conn:
        await conn.execute(text("CREATE TABLE t (x TEXT)"))
    await write(db, checkpoints.EVERY - 2, 4000)
    before = pages_in_the_file(file)
    await write(db, 1, 10)
    await eventually(lambda: pages_in_the_file(file) > before + 100, seconds=10, what="the log went into the file")
    await db.close()


async def test_a_log_that_a_reader_kept_long_is_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    db = Database(sqlite_url(file))
    async with db.write() as conn:
        await conn.execute(text("CREATE TABLE t (x TEXT)"))
    reader = sqlite3.connect(file, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM t").fetchone()
    await write(db, checkpoints.EVERY - 1, 200_000)  # past LONG, and none of it can go while somebody reads the past
    reader.execute("COMMIT")
    reader.close()
    log = file.with_name("a.db-wal")
    assert log.stat().st_size > checkpoints.LONG * 4096

    async def begun_anew() -> bool:
        """Its head counts (bytes 12 to 16) how often it was; the first write after that says so."""
        await write(db, 20, 10)
        return int.from_bytes(log.read_bytes()[12:16], "big") > 0

    await eventually(begun_anew, seconds=10, what="the log was begun anew")
    await db.close()
