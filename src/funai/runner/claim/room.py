"""Whether the work dir's disk has room for a job: without it a good commit fails by the platform's fault alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

MIN_INODES = 1_000
LOOK_SECONDS = 0.1


def is_full(workdir: Path, min_free_bytes: int) -> bool:
    """Also when it can't be looked at."""
    try:
        st = os.statvfs(workdir)
    except OSError:
        return True
    # Some file systems have no fixed number of inodes and say 0.
    return st.f_bavail * st.f_frsize < min_free_bytes or (st.f_files > 0 and st.f_favail < MIN_INODES)


class RoomWatch:
    """Remembers whether the disk was full at any time while a job ran."""

    def __init__(self, workdir: Path, min_free_bytes: int) -> None:
        self._workdir, self._min_free_bytes = workdir, min_free_bytes
        self._seen = False

    def was_full(self) -> bool:
        """Now or before: a program that found no room removes what it wrote before its failure is known."""
        self._seen = self._seen or is_full(self._workdir, self._min_free_bytes)
        return self._seen

    async def run(self) -> None:
        while True:
            self.was_full()
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def watched(workdir: Path, min_free_bytes: int) -> AsyncIterator[RoomWatch]:
    """The disk is looked at while the context is open."""
    watch = RoomWatch(workdir, min_free_bytes)
    task = asyncio.create_task(watch.run(), name="room")
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
