"""Limits how many followed logs are open at a time, in all and by user, within this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from funai.contracts.errors import TooMany
from funai.contracts.reasons import Reason


class StreamLimiter:
    """``limit`` streams a user, ``total`` in all."""

    def __init__(self, limit: int, total: int) -> None:
        self._limit, self._total = limit, total
        self._taken: Counter[int] = Counter()

    @property
    def taken(self) -> int:
        return self._taken.total()

    @contextmanager
    def seat(self, user_id: int) -> Iterator[None]:
        """Hold a seat while the context is open. Raises TooMany LOG_STREAMS, LOG_STREAMS_ALL."""
        if self._taken[user_id] >= self._limit:
            raise TooMany(Reason.LOG_STREAMS, limit=self._limit)
        if self.taken >= self._total:
            raise TooMany(Reason.LOG_STREAMS_ALL, limit=self._total)
        self._taken[user_id] += 1
        try:
            yield
        finally:
            self._taken[user_id] -= 1
            self._taken += Counter()  # forgets users without a stream
