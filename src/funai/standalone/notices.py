"""What ``funai up`` says at its terminal when one of its daemons died, and when it runs again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from funai.base.process.lifecycle import Change
from funai.standalone.phrases import phrase

STEADY_SECONDS = 60.0
"""A daemon that ran so long is no longer one that keeps dying."""
AT_MOST = 3
"""So many deaths of a daemon are shown before it has been steady again."""


@dataclass
class _Life:
    deaths: int = 0
    down_since: float = 0.0
    """0.0 while it runs."""
    back_at: float = 0.0
    failure_shown: bool = False


class Notices:
    """A listener for lifecycle events: one line each, and a single one for a daemon that keeps dying."""

    def __init__(self, say: Callable[[str], None], log_file: object, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._log_file, self._clock = say, log_file, clock
        self._lives: dict[str, _Life] = {}

    def hear(self, program: str, change: Change, why: str) -> None:
        life = self._lives.setdefault(program, _Life())
        part = _name(program)
        match change:
            case Change.BACK:
                self._back(life, part)
            case Change.FAILED:
                if life.deaths <= AT_MOST and not life.failure_shown:
                    life.failure_shown = True
                    self._say(phrase("part_failed", part=part, why=why))
            case Change.DIED | Change.FROZEN:
                self._down(life, part, change)

    def _down(self, life: _Life, part: str, change: Change) -> None:
        if life.down_since:  # The restart failed, or a frozen one is dead now: shown already.
            return
        now = self._clock()
        if now - life.back_at > STEADY_SECONDS:
            life.deaths = 0
        life.down_since, life.failure_shown = now, False
        life.deaths += 1
        if life.deaths <= AT_MOST:
            died = change is Change.DIED
            self._say(phrase("part_died", part=part) if died else phrase("part_frozen", part=part))
        elif life.deaths == AT_MOST + 1:
            self._say(phrase("part_flaps", part=part, count=life.deaths, log=self._log_file))

    def _back(self, life: _Life, part: str) -> None:
        now = self._clock()
        if life.down_since and life.deaths <= AT_MOST:
            self._say(phrase("part_back", part=part, seconds=f"{now - life.down_since:.1f}"))
        life.down_since, life.back_at = 0.0, now


def _name(program: str) -> str:
    names = {
        "haproxy": phrase("part_haproxy"),
        "keeper": phrase("part_keeper"),
        "registry": phrase("part_registry"),
        "engine": phrase("part_engine"),
        "postgres": phrase("part_postgres"),
    }
    return names.get(program, program)
