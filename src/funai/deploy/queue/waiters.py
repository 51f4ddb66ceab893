"""Runners that wait for work inside this process: a line of futures, woken one job, one runner, oldest first."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress

EMPTY_SECONDS = 1.0
"""How long a look that found no work stands for another: the shared one comes more often than that."""


class Waiters:
    """``mark`` before looking into the queue, ``wait(mark, …)`` after finding it empty: a wake in between isn't lost."""

    def __init__(self) -> None:
        self._line: deque[asyncio.Future[None]] = deque()
        self._wakes = 0
        self._empty: tuple[int, float] | None = None
        self.closed = False

    @property
    def waiting(self) -> int:
        return sum(not f.done() for f in self._line)

    def mark(self) -> int:
        return self._wakes

    def found_nothing(self, mark: int) -> None:
        """Who marked has looked since, and the queue was empty."""
        self._empty = (mark, time.monotonic())

    def known_empty(self) -> bool:
        """A query has just found the queue empty, and nothing happened here since. Work of another instance is at most as old
        as the next shared look."""
        return self._empty is not None and self._empty[0] == self._wakes and time.monotonic() - self._empty[1] < EMPTY_SECONDS

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
        """Releases all waiters; later waits return immediately."""
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
                self.wake()  # this wake-up announced a job: pass it on
            raise
        finally:
            with suppress(ValueError):
                self._line.remove(future)
        return not self.closed
