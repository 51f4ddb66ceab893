"""What an app used: requests as the gateway counts them, processor time and memory as the kernel does."""

from __future__ import annotations

from funai.contracts.states import Window
from funai.contracts.wire import Instant, Wire


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
