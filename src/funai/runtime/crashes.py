"""Apps that keep ending: counted, started again ever more slowly, and reported. Pure; the sweep feeds it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 600
LOOP_AFTER = 3
"""This many ends within the window are a crash loop."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0


@dataclass(frozen=True, slots=True)
class Crash:
    restarts: int = 0
    """Ends seen in this agent's life, the engine's own restarts included."""
    looping: bool = False


@dataclass
class _Record:
    container: str = ""
    engine_restarts: int = 0
    total: int = 0
    ends: deque[float] = field(default_factory=deque[float])
    next_start: float = 0.0
    pause: float = FIRST_PAUSE
    was_running: bool = True


class Crashes:
    """``now`` is a monotonic time in seconds, given by the caller."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._looping: set[int] = set()

    def saw(self, app_id: int, container: str, *, running: bool, engine_restarts: int, now: float) -> bool:
        """One look at a live container. True when the agent should start it now."""
        record = self._records.get(app_id)
        if record is None or record.container != container:
            record = self._records[app_id] = _Record(container, engine_restarts if running else 0)
            if not running:
                record.engine_restarts = engine_restarts
        ended = max(0, engine_restarts - record.engine_restarts)
        if not running and record.was_running:
            ended += 1
        record.engine_restarts, record.was_running = engine_restarts, running
        record.total += ended
        record.ends.extend([now] * min(ended, LOOP_AFTER))
        while record.ends and record.ends[0] < now - WINDOW_SECONDS:
            record.ends.popleft()
        self._looping.discard(app_id)
        if len(record.ends) >= LOOP_AFTER:
            self._looping.add(app_id)
        if running:
            if not record.ends:
                record.pause = FIRST_PAUSE
            return False
        if now < record.next_start:
            return False
        record.next_start = now + record.pause
        record.pause = min(record.pause * 2, LONGEST_PAUSE)
        return True

    def started(self, app_id: int) -> None:
        """The agent has started it: the next look that finds it ended is a new end."""
        if record := self._records.get(app_id):
            record.was_running, record.engine_restarts = True, 0

    def of(self, app_id: int) -> Crash:
        record = self._records.get(app_id)
        return Crash(record.total, app_id in self._looping) if record else Crash()

    @property
    def looping(self) -> list[int]:
        return sorted(self._looping)

    def forget(self, app_id: int) -> None:
        self._records.pop(app_id, None)
        self._looping.discard(app_id)

    def keep_only(self, app_ids: set[int]) -> None:
        for app_id in set(self._records) - app_ids:
            self.forget(app_id)
