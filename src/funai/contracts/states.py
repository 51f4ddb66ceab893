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


class Blame(StrEnum):
    USER = "user"
    PLATFORM = "platform"


class FailureCode(StrEnum):
    """Why a deploy failed, for machines; ``errorMessage`` says it for people."""

    BUILD_FAILED = "BUILD_FAILED"
    BUILD_TIMEOUT = "BUILD_TIMEOUT"
    BUILD_OUTPUT_LIMIT = "BUILD_OUTPUT_LIMIT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    OUT_OF_DISK = "OUT_OF_DISK"
    DOCKERFILE_MISSING = "DOCKERFILE_MISSING"
    CONTRACT_INVALID = "CONTRACT_INVALID"
    GIT_AUTH = "GIT_AUTH"
    GIT_HOST_KEY = "GIT_HOST_KEY"
    GIT_REF_NOT_FOUND = "GIT_REF_NOT_FOUND"
    GIT_EMPTY = "GIT_EMPTY"
    GIT_UNSUPPORTED = "GIT_UNSUPPORTED"
    GIT_UNREACHABLE = "GIT_UNREACHABLE"
    REGISTRY_AUTH = "REGISTRY_AUTH"
    REGISTRY_UNREACHABLE = "REGISTRY_UNREACHABLE"
    PACKAGE_REGISTRY_UNREACHABLE = "PACKAGE_REGISTRY_UNREACHABLE"
    """The registry that the build's packages come from (npm's) is away: no layer of that install is kept."""
    IMAGE_NOT_FOUND = "IMAGE_NOT_FOUND"
    IMAGE_UNUSABLE = "IMAGE_UNUSABLE"
    """No container of it can be started: its USER, WORKDIR, ENTRYPOINT or CMD names what isn't in it."""
    APP_EXITED = "APP_EXITED"
    APP_OUT_OF_MEMORY = "APP_OUT_OF_MEMORY"
    APP_NOT_LISTENING = "APP_NOT_LISTENING"
    APP_UNHEALTHY = "APP_UNHEALTHY"
    APP_SPEAKS_HTTP2 = "APP_SPEAKS_HTTP2"
    GATEWAY_FAILED = "GATEWAY_FAILED"
    ENGINE_FAILED = "ENGINE_FAILED"
    AGENT_UNREACHABLE = "AGENT_UNREACHABLE"
    STALE_GENERATION = "STALE_GENERATION"
    LEASE_EXPIRED = "LEASE_EXPIRED"
    RUN_TIMEOUT = "RUN_TIMEOUT"
    NO_NODE = "NO_NODE"
    INTERNAL = "INTERNAL"

    @property
    def blame(self) -> Blame:
        return Blame.USER if self in _USER_FAILURES else Blame.PLATFORM


_USER_FAILURES = frozenset(
    {
        FailureCode.BUILD_FAILED,
        FailureCode.BUILD_TIMEOUT,
        FailureCode.BUILD_OUTPUT_LIMIT,
        FailureCode.OUT_OF_MEMORY,
        FailureCode.OUT_OF_DISK,
        FailureCode.DOCKERFILE_MISSING,
        FailureCode.CONTRACT_INVALID,
        FailureCode.GIT_REF_NOT_FOUND,
        FailureCode.GIT_EMPTY,
        FailureCode.GIT_UNSUPPORTED,
        FailureCode.IMAGE_NOT_FOUND,
        FailureCode.IMAGE_UNUSABLE,
        FailureCode.APP_EXITED,
        FailureCode.APP_OUT_OF_MEMORY,
        FailureCode.APP_NOT_LISTENING,
        FailureCode.APP_UNHEALTHY,
        FailureCode.APP_SPEAKS_HTTP2,
    }
)


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
