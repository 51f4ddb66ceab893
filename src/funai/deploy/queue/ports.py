"""What the job queue asks of its neighbours. Bound in ``deploy/main.py``; each call runs inside the queue's transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts import naming
from funai.contracts.jobs import JobResult, RuntimeNodeRef


@dataclass(frozen=True, slots=True)
class Waiting:
    """No node can take the app now. ``reason`` is NODE_DISK_PRESSURE or NO_RUNTIME_NODE; the job stays PENDING."""

    reason: str


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """What a release is made of: the job's own words where the result is silent."""

    job_id: int
    app_id: int
    user_id: int | None
    payload: dict[str, Any]
    env_sealed: str | None
    node_id: int | None
    target_node_id: int | None = None
    """Where it moves its app to; None: it deploys where the app lives."""
    attempt: int = 1

    @property
    def moved_release(self) -> int | None:
        """The release that it starts elsewhere; None: it makes one."""
        return self.payload.get("moveOf") if self.target_node_id is not None else None

    @property
    def generation(self) -> int:
        return naming.generation(self.job_id, self.attempt)


@dataclass(frozen=True, slots=True)
class StoredRelease:
    """What a rollback runs again."""

    number: int
    image: str
    """With its digest when that is known: ``registry/path@sha256:…``."""
    container_port: int
    health_path: str | None
    base_path: str | None
    git_sha: str | None
    git_ref: str | None
    env_sealed: str | None
    strip_prefix: bool | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What a job's payload says to run it."""
        known = {
            "image": self.image,
            "containerPort": self.container_port,
            "healthPath": self.health_path,
            "stripPrefix": self.strip_prefix,
            "gitRef": self.git_ref,
            "gitSha": self.git_sha,
            "basePath": self.base_path,
        }
        return {name: value for name, value in known.items() if value is not None and value != ""}


class Placer(Protocol):
    async def place(self, conn: AsyncConnection, app_id: int, now_ms: int, user_id: int | None) -> RuntimeNodeRef | Waiting:
        """Choose (or confirm) the app's node and remember it, in the claim's transaction."""
        ...

    async def place_on(self, conn: AsyncConnection, app_id: int, node_id: int, now_ms: int) -> RuntimeNodeRef | None:
        """The node that a job moves its app to, counted there; where the app lives is not changed. None: it can't take it."""
        ...


class Releases(Protocol):
    async def record(self, conn: AsyncConnection, job: FinishedJob, result: JobResult, now_ms: int) -> None:
        """The app's next release, and what it runs now; called once in the transaction of a SUCCEEDED report."""
        ...

    async def failed(self, conn: AsyncConnection, job: FinishedJob, status: str, error: str | None, now_ms: int) -> None:
        """Remember in ``app_run`` that the app's last job ended otherwise; its live release stays what it was."""
        ...

    async def next_number(self, conn: AsyncConnection, app_id: int) -> int:
        """The number that the app's next release gets."""
        ...

    async def load(self, conn: AsyncConnection, app_id: int, number: int) -> StoredRelease:
        """Raises NotFound(RELEASE_NOT_FOUND)."""
        ...


class Queue(Protocol):
    """What the queue's neighbours (placement, apps) ask of it. Unlike the above, not inside a transaction of the queue."""

    async def nodes_changed(self) -> None:
        """A node may take more than before: jobs that wait for one become claimable at once, and runners are woken."""
        ...

    async def cancel_active(self, app_id: int, actor: str) -> int | None:
        """Cancel the app's PENDING or RUNNING job, if it has one; answers its id. Idempotent."""
        ...

    async def newest_generation(self, app_id: int) -> int | None:
        """The newest generation that any of the app's jobs may have given to a node; None when it has no job."""
        ...

    async def purge_app(self, conn: AsyncConnection, app_id: int) -> int:
        """Delete the app's jobs with their logs and events, in the caller's transaction; answers how many jobs.

        An active job has been cancelled before.
        """
        ...
