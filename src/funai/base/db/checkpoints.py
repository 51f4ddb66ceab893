"""SQLite's checkpoints beside the work instead of in it.

By itself SQLite copies its log back into the database file inside whichever COMMIT finds the log long enough, and waits
for the disk twice: 10 to 20 ms in which the event loop is blocked, in about one claim of a hundred
(docs/decisions/queue-measured.md). Here a thread with a connection of its own does it.
"""

from __future__ import annotations

import asyncio
import sqlite3

from funai.base.observability import log

EVERY = 200
"""Write transactions between two checkpoints: a claim writes some five pages, so about what SQLite itself does."""
LONG = 8_192
"""Pages (32 MiB). A log that grew to this length while others read or wrote is finished with the writers held."""


class Checkpoints:
    """One a database file. ``turn`` is what its writers take."""

    def __init__(self, file: str, turn: asyncio.Lock) -> None:
        self._file, self._turn = file, turn
        self._writes = 0
        self._task: asyncio.Task[None] | None = None

    def written(self) -> None:
        """A write transaction ended."""
        self._writes += 1
        if self._writes >= EVERY and self._task is None:
            self._writes = 0
            self._task = asyncio.create_task(self._checkpoint(), name="sqlite.checkpoint")

    async def close(self) -> None:
        """Wait for one that is under way."""
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _checkpoint(self) -> None:
        try:
            pages = await asyncio.to_thread(self._run, "PASSIVE")
            if pages > LONG:
                async with self._turn:
                    await asyncio.to_thread(self._run, "RESTART")
        except sqlite3.Error as e:  # the next one tries again; what is in the log is safe there
            log.get("db").warning("db.checkpoint_failed", error=str(e))
        finally:
            self._task = None

    def _run(self, mode: str) -> int:
        """Pages that the log holds."""
        conn = sqlite3.connect(self._file, timeout=1, isolation_level=None)
        try:
            _, pages, _ = conn.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
            return int(pages)
        finally:
            conn.close()
