"""Followed logs a user may hold open at a time, so that nobody takes everybody's connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

from funai.contracts.errors import TooMany


class StreamLimiter:
    """Counts by user, within this process. A seat is taken when a stream begins and given back however it ends."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: Counter[int] = Counter()

    def check(self, user_id: int) -> None:
        """Raises TooMany LOG_STREAMS when the user holds as many as allowed."""
        if self._taken[user_id] >= self._limit:
            raise TooMany("LOG_STREAMS", limit=self._limit)

    async def seated(self, user_id: int, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The stream, holding a seat while somebody reads it."""
        self._taken[user_id] += 1
        try:
            async for piece in stream:
                yield piece
        finally:
            self._taken[user_id] -= 1
            if not self._taken[user_id]:
                del self._taken[user_id]
            if close := getattr(stream, "aclose", None):
                await close()
