"""What a rollout notes on its way: the milliseconds of its steps, and that a new container did not become healthy."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from funai.agent.rollout.health import Probed


class NotUp(Exception):
    """A new container did not become healthy."""

    def __init__(self, probed: Probed) -> None:
        super().__init__(probed.verdict)
        self.probed = probed


@dataclass
class Stopwatch:
    """Milliseconds of each step, for the answer and the log."""

    marks: dict[str, int] = field(default_factory=dict[str, int])
    _last: float = field(default_factory=time.monotonic)

    def mark(self, step: str) -> None:
        now = time.monotonic()
        self.marks[step] = round((now - self._last) * 1000)
        self._last = now
