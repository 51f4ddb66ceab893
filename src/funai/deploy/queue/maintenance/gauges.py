"""The queue's gauges, read when a scrape asks for them."""

from __future__ import annotations

from sqlalchemy import func, select

from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.statements import CLAIMABLE, NOT_CLAIMABLE, RUNNING
from funai.deploy.queue.store import JobStore
from funai.deploy.queue.waiters import Waiters
from funai.deploy.tables import job

DEPTH_LIMIT = 10_000


class Gauges:
    """Depth is counted up to ``DEPTH_LIMIT``."""

    def __init__(self, store: JobStore, waiters: Waiters, metrics: JobMetrics) -> None:
        self.store, self.waiters, self.metrics = store, waiters, metrics

    async def run_once(self) -> None:
        for state, condition in (("claimable", CLAIMABLE), ("waiting", NOT_CLAIMABLE), ("running", RUNNING)):
            some = select(job.c.id).where(condition).limit(DEPTH_LIMIT).subquery()
            row = await self.store.db.fetch_one(select(func.count().label("n")).select_from(some))
            self.metrics.depth.labels(state).set(row["n"] if row else 0)
        self.metrics.oldest.set(await self.oldest_seconds())
        self.metrics.waiting_runners.set(self.waiters.waiting)

    async def oldest_seconds(self) -> float:
        """Age of the job that is claimed next; 0 for an empty queue."""
        head = select(job.c.created_ms, self.store.now.label("now_ms")).where(CLAIMABLE)
        oldest = await self.store.db.fetch_one(head.order_by(job.c.turn, job.c.id).limit(1))
        return (oldest["now_ms"] - oldest["created_ms"]) / 1000 if oldest else 0
