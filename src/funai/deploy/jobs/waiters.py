"""Runners that wait for work inside this process: a line of futures, woken one job, one runner, oldest first."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress


class Waiters:
    """``mark`` before looking into the queue, ``wait(mark, …)`` after finding it empty: a wake in between isn't lost."""

    def __init__(self) -> None:
        self._line: deque[asyncio.Future[None]] = deque()
        self._wakes = 0
        self.closed = False

    @property
    def waiting(self) -> int:
        return sum(not f.done() for f in self._line)

    def mark(self) -> int:
        return self._wakes

    def wake(self, jobs: int = 1) -> int:
        """There are (about) ``jobs`` more to claim; answers how many runners were woken."""
        self._wakes += 1
        woken = 0
        while self._line and woken < jobs:
            future = self._line.popleft()
            if not future.done():
                future.set_result(None)
                woken += 1
        return woken

    def close(self) -> None:
        """Everybody goes home: waits end at once from now on."""
        self.closed = True
        self.wake(len(self._line))

    async def wait(self, mark: int, timeout: float) -> bool:
        """Until woken, True; False after ``timeout`` seconds. At once when something happened since ``mark``."""
        if self.closed or timeout <= 0:
            return False
        if mark != self._wakes:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(future)
        try:
            async with asyncio.timeout(timeout):
                await future
        except TimeoutError:
            return False
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.wake()  # this wake-up was somebody's job: hand it on
            raise
        finally:
            with suppress(ValueError):
                self._line.remove(future)
        return not self.closed
