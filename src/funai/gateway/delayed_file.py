"""A file that follows what a process holds in memory, written some moments after a change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from funai.base.files import write_whole
from funai.base.observability import log

DELAY, RETRY = 1.0, 5.0


class DelayedFile:
    """Many changes cost one write. ``snapshot`` is called in the event loop; what it answers makes the text, in a thread.

    Nothing waits for the file. A write that fails is logged and tried again.
    """

    def __init__(self, path: Path, snapshot: Callable[[], Callable[[], str]]) -> None:
        self.path, self._snapshot = path, snapshot
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()

    def change(self) -> None:
        """What is held is no longer what the file says."""
        self._changed.set()

    async def keep(self) -> None:
        """The writing task; runs until cancelled."""
        while True:
            await self._changed.wait()
            await asyncio.sleep(DELAY)
            try:
                await self.flush()
            except OSError as e:
                log.get("gateway").error("gateway.file_failed", file=str(self.path), error=str(e))
                await asyncio.sleep(RETRY)

    async def flush(self) -> None:
        """Write now, if anything changed since the last write. Raises OSError."""
        async with self._writing:
            if not self._changed.is_set():
                return
            self._changed.clear()
            render = self._snapshot()
            try:
                await asyncio.to_thread(lambda: write_whole(self.path, render()))
            except OSError:
                self._changed.set()
                raise
