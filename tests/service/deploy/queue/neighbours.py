"""The queue's neighbours where a test is about the queue alone: no SQL of their own."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts.jobs import JobResult, RuntimeNodeRef
from funai.deploy.queue.ports import FinishedJob, StoredRelease, Waiting

NODE = RuntimeNodeRef(id=1, name="n1", agent_base_url="http://n1:7005", gateway_base_url="http://n1")


class OneNode:
    """A placer whose only node is there or not, as the machine says."""

    able = True

    async def place(self, conn: AsyncConnection, app_id: int, now_ms: int, user_id: int | None) -> RuntimeNodeRef | Waiting:
        return NODE if self.able else Waiting("NO_RUNTIME_NODE")

    async def place_on(self, conn: AsyncConnection, app_id: int, node_id: int, now_ms: int) -> RuntimeNodeRef | None:
        return NODE if self.able else None


class Recorded:
    """Counts releases per job: a success is recorded exactly once."""

    def __init__(self) -> None:
        self.jobs: list[int] = []

    async def record(self, conn: AsyncConnection, job: FinishedJob, result: JobResult, now_ms: int) -> None:
        self.jobs.append(job.job_id)

    async def failed(self, conn: AsyncConnection, job: FinishedJob, status: str, error: str | None, now_ms: int) -> None:
        return

    async def next_number(self, conn: AsyncConnection, app_id: int) -> int:
        return len(self.jobs) + 1

    async def load(self, conn: AsyncConnection, app_id: int, number: int) -> StoredRelease:
        raise NotImplementedError
