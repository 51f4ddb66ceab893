"""Appending to job logs, and following them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from funai.contracts.errors import TooLarge
from funai.contracts.jobs import LOG_CHUNK_BYTES, AppendLog, LogSlice
from funai.deploy.logs.store import LogStore
from funai.deploy.queue.transitions import Holder

LOOK_SECONDS = 1.0
"""How often a follower looks by itself: another instance may have taken the chunk."""


class LogService:
    def __init__(self, store: LogStore) -> None:
        self.store = store
        self._followers: dict[int, set[asyncio.Event]] = {}
        self._closed = False

    async def append(self, job_id: int, given: AppendLog) -> int:
        """Answers the offset to go on from. Raises TooLarge, LEASE_LOST, LOG_GAP."""
        data = given.chunk.encode("utf-8", "replace")
        if len(data) > LOG_CHUNK_BYTES:
            raise TooLarge(limit=f"{LOG_CHUNK_BYTES} bytes")
        after = await self.store.append(job_id, Holder(given.runner_id, given.lease_token or None), given.offset, data)
        self.wake(job_id)
        return after

    async def read(self, job_id: int, offset: int, limit: int, wait_seconds: float) -> LogSlice:
        """What there is from ``offset``; with nothing new, wait for more or for the job's end."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + wait_seconds
        event = asyncio.Event()
        self._followers.setdefault(job_id, set()).add(event)
        try:
            while True:
                event.clear()
                found = await self.store.read(job_id, offset, limit)
                left = deadline - clock()
                if found.chunk or found.final or left <= 0 or self._closed:
                    return found
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        await event.wait()
        finally:
            followers = self._followers.get(job_id)
            if followers is not None:
                followers.discard(event)
                if not followers:
                    del self._followers[job_id]

    async def tail(self, job_id: int, limit: int) -> LogSlice:
        """The last ``limit`` bytes of what there is now."""
        return await self.store.read(job_id, None, limit)

    def wake(self, job_id: int) -> None:
        """There is more, or the job ended."""
        for event in self._followers.get(job_id, ()):
            event.set()

    def close(self) -> None:
        """Followers get what there is and go."""
        self._closed = True
        for events in self._followers.values():
            for event in events:
                event.set()
