"""Rings of one app's use: a sum for each step of each window. Pure; moments are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from funai.contracts.states import Window


@dataclass(slots=True)
class Use:
    """What was used in a time. ``ms`` is the whole time of requests; ``cpu_ms`` was used in ``measured_ms``."""

    requests: int = 0
    errors: int = 0
    ms: int = 0
    slowest: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    cpu_ms: int = 0
    measured_ms: int = 0
    memory: int = 0

    def add(self, more: Use) -> None:
        """Sums, and the larger one of ``slowest`` and ``memory``."""
        for name in NAMES:
            mine, its = getattr(self, name), getattr(more, name)
            setattr(self, name, max(mine, its) if name in LARGEST else mine + its)


NAMES = tuple(field.name for field in fields(Use))
LARGEST = frozenset({"slowest", "memory"})


class Rings:
    """Of one app. A step that is older than its window goes when a newer one comes."""

    def __init__(self) -> None:
        self._steps: dict[Window, dict[int, Use]] = {window: {} for window in Window}

    def add(self, at: float, use: Use) -> None:
        for window, steps in self._steps.items():
            number = int(at // window.step_seconds)
            if number not in steps:
                for old in [n for n in steps if n <= number - window.steps]:
                    del steps[old]
                steps[number] = Use()
            steps[number].add(use)

    def points(self, window: Window, now: float) -> Iterator[tuple[int, Use | None]]:
        """Each step of the window with its first second; None where nothing was kept."""
        newest = int(now // window.step_seconds)
        for number in range(newest - window.steps + 1, newest + 1):
            yield number * window.step_seconds, self._steps[window].get(number)

    def to_json(self) -> dict[str, object]:
        return {
            window.value: {str(number): [getattr(use, name) for name in NAMES] for number, use in steps.items()}
            for window, steps in self._steps.items()
        }

    @staticmethod
    def from_json(kept: Any) -> Rings:
        """What :meth:`to_json` made. Raises ValueError, TypeError, KeyError or AttributeError for anything else."""
        rings = Rings()
        for window in Window:
            for number, values in kept[window.value].items():
                rings._steps[window][int(number)] = Use(*map(int, values))
        return rings
