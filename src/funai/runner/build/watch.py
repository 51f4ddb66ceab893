"""Watches one running build: what its control group went through, and what it writes to disk."""

from __future__ import annotations

import asyncio

from funai.contracts.reasons import FailureCode
from funai.runner.build.cgroup import BuildGroup, Usage
from funai.runner.build.diskwatch import DiskWatch
from funai.runner.sandbox.storewatch import StoreWatch

LOOK_SECONDS = 0.25
BOMB = 200
"""Refused forks after which it is a fork bomb and no honest parallel build."""


class BuildWatch:
    """``run`` returns the limit that the build broke; otherwise it watches until cancelled. ``usage`` is what was seen."""

    def __init__(self, group: BuildGroup, disk: DiskWatch | StoreWatch) -> None:
        self._group, self._disk = group, disk
        self.usage = Usage()

    def child(self, session: int | None) -> None:
        """The engine's process that runs now."""
        if isinstance(self._disk, DiskWatch):
            self._disk.child = session

    async def run(self) -> FailureCode:
        disk = asyncio.create_task(self._disk.run())
        try:
            while not disk.done():
                self.look()
                if self.usage.pids_refused > BOMB:
                    return FailureCode.BUILD_FAILED
                await asyncio.wait({disk}, timeout=LOOK_SECONDS)
            disk.result()
            return FailureCode.OUT_OF_DISK
        finally:
            disk.cancel()
            await asyncio.gather(disk, return_exceptions=True)

    def look(self) -> None:
        """A step's own counters go with its leaf when it ends, so they are kept from look to look."""
        now = self._group.usage()
        self.usage = Usage(
            max(self.usage.oom_kills, now.oom_kills), max(self.usage.pids_refused, now.pids_refused), now.memory_full
        )
