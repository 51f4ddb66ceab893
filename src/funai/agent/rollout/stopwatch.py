"""How long the steps of a rollout took."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass
class Stopwatch:
    """Milliseconds of each step, for the answer and the log."""

    marks: dict[str, int] = field(default_factory=dict[str, int])
    _last: float = field(default_factory=time.monotonic)

    def mark(self, step: str) -> None:
        now = time.monotonic()
        self.marks[step] = round((now - self._last) * 1000)
        self._last = now
