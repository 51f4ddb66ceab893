"""When a service does what it does about once a second."""

from __future__ import annotations

BEAT_SECONDS = 0.9


def next_beat(now: float, every: float = BEAT_SECONDS) -> float:
    """The next multiple of ``every`` seconds on the loop's clock. A service that idles then wakes once for all that is due,
    not for each of it with everything gone from the processor's caches (docs/decisions/queue-measured.md)."""
    return (now // every + 1) * every
