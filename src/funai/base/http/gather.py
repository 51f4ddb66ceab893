"""Requests that wait for company before they are even parsed (docs/decisions/queue-measured.md).

Two hundred nodes' heartbeats come one at a time, each to a process that slept: waking, parsing and validating one costs
some five times what it costs right behind another. Those that come within two seconds of the last ones are kept as the bytes
they are and read together, when their one transaction is due anyway.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from funai.base.beat import next_beat

LARGEST = 4096
"""Bytes of a request that may wait."""
MOST = 500
"""Requests that wait at once; with more, all are read."""


class Reader(Protocol):
    """A connection whose request waits."""

    def read_now(self) -> None: ...


class Gather:
    """Requests that begin with ``line`` (``b"POST /path "``). The first after a pause of ``seconds`` is read at once, and those
    after it together at the next multiple of that on the loop's clock."""

    def __init__(self, line: bytes, seconds: float) -> None:
        self.line, self.seconds = line, seconds
        self._waiting: list[Reader] = []
        self._last = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def takes(self, data: bytes, reader: Reader) -> bool:
        """Whether these first bytes of a request are to be kept until ``reader.read_now`` is called."""
        if self._closed or len(data) > LARGEST or not data.startswith(self.line):
            return False
        loop = asyncio.get_running_loop()
        if self._timer is None:
            now = loop.time()
            if self._last + self.seconds <= now:
                self._last = now
                return False
            self._timer = loop.call_at(next_beat(now, self.seconds), self.release)
        self._waiting.append(reader)
        if len(self._waiting) >= MOST:
            self.release()
        return True

    def release(self) -> None:
        """Everybody who waits is read now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._last = asyncio.get_running_loop().time()
        waiting, self._waiting = self._waiting, []
        for reader in waiting:
            reader.read_now()

    def close(self) -> None:
        """Nothing waits from now on: the service stops."""
        self._closed = True
        self.release()
