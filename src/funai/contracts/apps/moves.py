"""(+) Moves of running apps from node to node on the wire."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from funai.contracts.wire import Instant, Wire


class MoveState(StrEnum):
    WAITING = "WAITING"
    """Its turn has not come, or the app is just being deployed."""
    MOVING = "MOVING"
    """A job starts the app on its target; the source serves."""
    MOVED = "MOVED"
    """The app serves on its target, or left the source by another way."""
    FAILED = "FAILED"
    """The app serves where it did; ``reason`` tells why."""
    CANCELLED = "CANCELLED"
    """It was not begun."""


class DrainKind(StrEnum):
    DRAIN = "DRAIN"
    """An operator empties a node that serves."""
    EVACUATION = "EVACUATION"
    """A node is silent for longer than the grace: its apps are started elsewhere."""


class DrainState(StrEnum):
    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELLED = "CANCELLED"


class Move(Wire):
    """One app's move."""

    app_id: int
    source_node_id: int
    target_node_id: int | None = None
    """None until it is chosen."""
    state: MoveState
    reason: str | None = None
    """A failure code of jobs, or why no node takes the app."""
    job_id: int | None = None
    """The job that starts the app there: its log tells the rest."""
    updated_at: Instant


class DrainProgress(Wire):
    """A node that is being emptied, or was. Counts are of apps by their move's state."""

    id: int
    kind: DrainKind
    state: DrainState
    source_node_id: int
    waiting: int = 0
    moving: int = 0
    moved: int = 0
    failed: int = 0
    cancelled: int = 0
    created_at: Instant
    finished_at: Instant | None = None
    moves: list[Move] = Field(default_factory=list[Move])
    """Only where one drain is asked for; failed ones first."""

    @property
    def total(self) -> int:
        return self.waiting + self.moving + self.moved + self.failed + self.cancelled
