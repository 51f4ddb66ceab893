"""SQLite files that a room's migrations have been run on: once a process, then written out, which takes no time."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from funai.base.db.engine import Database, sqlite_url

Upgrade = Callable[[Database], Coroutine[Any, Any, None]]


def migrated(upgrade: Upgrade, file: Path) -> str:
    """Make ``file`` an empty database of the room whose ``upgrade`` this is, unless it is there; answers its URL."""
    if not file.exists():
        file.write_bytes(_template(upgrade))
    return sqlite_url(file)


@cache
def _template(upgrade: Upgrade) -> bytes:
    async def run(file: Path) -> None:
        db = Database(sqlite_url(file))
        await upgrade(db)
        await db.close()

    with tempfile.TemporaryDirectory(prefix="funai-schema-") as folder, ThreadPoolExecutor(1) as aside:
        file = Path(folder) / "template.db"
        aside.submit(asyncio.run, run(file)).result()  # the caller may be in a loop of its own
        assert not Path(f"{file}-wal").exists(), "the last connection takes the write-ahead log along"
        return file.read_bytes()
