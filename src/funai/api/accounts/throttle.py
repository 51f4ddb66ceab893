"""Rate limit: a sliding window by key, held in this process. Pure: time is an argument."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from math import ceil

from funai.contracts.errors import TooMany


class Throttle:
    """At most ``limit`` tries a key within ``window`` seconds; remembers at most ``capacity`` keys, the latest used."""

    def __init__(self, limit: int, window: float, *, capacity: int = 10_000) -> None:
        self.limit, self.window, self.capacity = limit, window, capacity
        self._tries: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def take(self, key: Hashable, now: float) -> None:
        """Count a try at ``now`` (monotonic seconds); raises TooMany with the seconds to wait."""
        tries = self._tries.setdefault(key, deque())
        self._tries.move_to_end(key)
        while tries and tries[0] <= now - self.window:
            tries.popleft()
        if len(tries) >= self.limit:
            raise TooMany(seconds=max(1, ceil(tries[0] + self.window - now)))
        tries.append(now)
        while len(self._tries) > self.capacity:
            self._tries.popitem(last=False)

    def forget(self, key: Hashable) -> None:
        """A success wipes the slate."""
        self._tries.pop(key, None)
