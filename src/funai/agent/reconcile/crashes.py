"""Apps that keep ending: counted, started again ever more slowly, and reported. Pure; the sweep feeds it."""

from __future__ import annotations

from dataclasses import dataclass

STEADY_SECONDS = 120
"""An app that ran this long without an end is well again."""
LOOP_AFTER = 3
"""So many ends without a steady time between them are a crash loop."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0


@dataclass(frozen=True, slots=True)
class Crash:
    restarts: int = 0
    """Ends seen in this agent's life, the engine's own restarts included."""
    looping: bool = False
    exit_code: int | None = None
    """Of the latest end that was seen with one."""


@dataclass
class _Record:
    container: str
    engine_restarts: int
    running: bool
    total: int = 0
    in_a_row: int = 0
    since: float = 0.0
    """When it was last seen to begin running."""
    next_start: float = 0.0
    pause: float = FIRST_PAUSE
    exit_code: int | None = None

    def ends(self, count: int, now: float) -> None:
        self.total += count
        self.in_a_row += count
        self.since = now

    def steady(self) -> None:
        self.in_a_row, self.pause = 0, FIRST_PAUSE


class Crashes:
    """``now`` is a monotonic time in seconds, given by the caller."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self.ends = self.loops = 0
        """Of all apps so far: ends, and how often one became a crash loop."""

    def saw(
        self, app_id: int, container: str, *, running: bool, engine_restarts: int, now: float, exit_code: int | None = None
    ) -> bool:
        """One look at a live container, with the exit code it shows. True when the agent should start it now."""
        record = self._records.get(app_id)
        if record is None or record.container != container:
            record = self._records[app_id] = _Record(container, engine_restarts, running=True, since=now)
        before = record.engine_restarts if engine_restarts >= record.engine_restarts else 0  # a start by hand resets it
        ended = engine_restarts - before + (not running and record.running)
        record.engine_restarts, record.running = engine_restarts, running
        if exit_code is not None:
            record.exit_code = exit_code
        if ended:
            was_looping = record.in_a_row >= LOOP_AFTER
            record.ends(ended, now)
            self.ends += ended
            self.loops += not was_looping and record.in_a_row >= LOOP_AFTER
        if running:
            if now - record.since >= STEADY_SECONDS:
                record.steady()
            return False
        if now < record.next_start:
            return False
        record.next_start = now + record.pause
        record.pause = min(record.pause * 2, LONGEST_PAUSE)
        return True

    def started(self, app_id: int) -> None:
        """The agent has started it: the next look that finds it ended is a new end."""
        if record := self._records.get(app_id):
            record.running = True

    def of(self, app_id: int) -> Crash:
        record = self._records.get(app_id)
        return Crash(record.total, record.in_a_row >= LOOP_AFTER, record.exit_code) if record else Crash()

    @property
    def looping(self) -> list[int]:
        return sorted(app_id for app_id, record in self._records.items() if record.in_a_row >= LOOP_AFTER)

    def forget(self, app_id: int) -> None:
        self._records.pop(app_id, None)

    def keep_only(self, app_ids: set[int]) -> None:
        for app_id in set(self._records) - app_ids:
            self.forget(app_id)
