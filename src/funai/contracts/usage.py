"""What an app used: requests as the gateway counts them, processor time and memory as the kernel does."""

from __future__ import annotations

from enum import StrEnum

from funai.contracts.wire import Instant, Wire


class Window(StrEnum):
    """How far back, and in which steps: 60 of a minute, 96 of a quarter of an hour, 84 of two hours."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"

    @property
    def step_seconds(self) -> int:
        return {Window.HOUR: 60, Window.DAY: 15 * 60, Window.WEEK: 2 * 3600}[self]

    @property
    def steps(self) -> int:
        return {Window.HOUR: 60, Window.DAY: 96, Window.WEEK: 84}[self]


class UsagePoint(Wire):
    """One step, from ``at`` on. Fields without a value were not measured then."""

    at: Instant
    requests: int | None = None
    errors: int | None = None
    """Answers with a status of 500 and above."""
    average_ms: float | None = None
    slowest_ms: int | None = None
    bytes_in: int | None = None
    bytes_out: int | None = None
    cpu_percent: float | None = None
    """Of one core."""
    memory_bytes: int | None = None
    """The most that was seen, without what the kernel only caches."""


class AppUsage(Wire):
    """``points`` are in order of time and without gaps; the last one is the step that is under way."""

    window: Window
    step_seconds: int
    memory_limit_bytes: int | None = None
    counts_requests: bool = True
    """False where another program than our HAProxy serves the apps."""
    points: list[UsagePoint]
