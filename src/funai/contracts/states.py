"""States and the words kept beside them. Every state is explained where it is defined."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class JobStatus(StrEnum):
    """``PENDING → RUNNING | CANCELLED``, ``RUNNING → PENDING (rescue) | SUCCEEDED | FAILED | CANCELLED``."""

    PENDING = "PENDING"
    """Waiting for a runner, or for a node (the job's reason tells which)."""
    RUNNING = "RUNNING"
    """Held by one runner under a lease; entered by a claim alone."""
    SUCCEEDED = "SUCCEEDED"
    """Final: the gateway's public path served the new generation."""
    FAILED = "FAILED"
    """Final: ``errorMessage`` and the failure code say why."""
    CANCELLED = "CANCELLED"
    """Final: a caller asked for it."""

    @property
    def final(self) -> bool:
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})
ACTIVE_STATUSES = frozenset({JobStatus.PENDING, JobStatus.RUNNING})


class JobType(StrEnum):
    BUILD_AND_DEPLOY = "BUILD_AND_DEPLOY"


class Phase(StrEnum):
    """What a runner is busy with; kept in the payload by its heartbeats."""

    CLONE = "CLONE"
    BUILD = "BUILD"
    PUSH = "PUSH"
    DEPLOY = "DEPLOY"


class AppStatus(IntEnum):
    CREATED = 0
    """Registered, nothing pushed or deployed yet."""
    UPLOADED = 1
    """Has source, or was stopped: nothing of it runs."""
    DEPLOYING = 2
    """A job of it is PENDING or RUNNING. Holds a running slot."""
    READY = 3
    """Its last deploy serves. Holds a running slot."""
    FAILED = 4
    """Its last deploy failed (``lastDeployError``); an earlier release may still serve."""
    DISABLED = 5
    """Taken out of use by an operator: no deploy is accepted."""


class Change(StrEnum):
    """What became of a thing from one release to a later one."""

    ADDED = "ADDED"
    REMOVED = "REMOVED"
    CHANGED = "CHANGED"


class RepoStatus(StrEnum):
    PENDING = "PENDING"
    """Its host was away when the app was made; the platform goes on trying."""
    READY = "READY"


class NodeHealth(StrEnum):
    HEALTHY = "HEALTHY"
    """Takes new apps."""
    DRAINING = "DRAINING"
    """Disabled, or free disk between the two watermarks: apps it has may redeploy, nothing new comes."""
    UNHEALTHY = "UNHEALTHY"
    """Free disk under the lower watermark: takes no deploy at all."""
    STALE = "STALE"
    """No heartbeat for ``heartbeat-stale-seconds``."""


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
