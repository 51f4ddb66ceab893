"""The outbox as its readers see it: events after a cursor, held open until there are some."""

from __future__ import annotations

import asyncio

from funai.base.aio import wait_any
from funai.base.db.engine import Database
from funai.contracts.jobs import EventSlice
from funai.deploy.events.store import EventStore

LOOK_SECONDS = 1.0
"""How soon another instance's events are seen; this one's wake the readers."""


class EventFeed:
    """Readers follow what the transitions wrote in their own transactions; nothing is lost while a reader is away."""

    def __init__(self, db: Database, events: EventStore) -> None:
        self._db, self._events = db, events
        self._news, self._closed = asyncio.Event(), asyncio.Event()

    def wake(self) -> None:
        """Call after a COMMIT that wrote an event."""
        self._news.set()
        self._news = asyncio.Event()

    def close(self) -> None:
        """Releases all readers; later ones return immediately."""
        self._closed.set()

    async def after(self, cursor: int | None, limit: int, wait_seconds: float) -> EventSlice:
        """Events with a larger id than ``cursor``, waiting up to ``wait_seconds`` for one; None answers where the feed ends."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            news = self._news
            async with self._db.read() as conn:
                if cursor is None:
                    return EventSlice(next=await self._events.newest(conn))
                found = await self._events.after(conn, cursor, limit)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0 or self._closed.is_set():
                return EventSlice(events=found, next=found[-1].id if found else cursor)
            await wait_any(news, self._closed, timeout=min(left, LOOK_SECONDS))
