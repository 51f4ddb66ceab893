"""Leases that ran out: another attempt, or the job's end."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.rows import all_rows, first_row
from funai.contracts.reasons import FailureCode
from funai.contracts.states import JobStatus
from funai.deploy.events.store import Happened
from funai.deploy.queue import transitions
from funai.deploy.queue.maintenance.ending import ACTOR, Ender
from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.models import JobRow
from funai.deploy.queue.store import JobStore
from funai.deploy.queue.transitions import Claimable
from funai.deploy.queue.waiters import Waiters
from funai.i18n.joblog import both


@dataclass(frozen=True, slots=True)
class RescueConfig:
    max_attempts: int
    backoff_ms: int
    """Before the second attempt; it doubles with each."""


@dataclass(frozen=True, slots=True)
class Lapsed:
    """A running job whose lease ran out."""

    id: int
    app_id: int | None
    attempt: int
    runner_id: str | None


class Rescuer:
    """Called by the :class:`Tender`, which sees in one read whether any lease lapsed."""

    def __init__(self, store: JobStore, config: RescueConfig, ender: Ender, waiters: Waiters, metrics: JobMetrics) -> None:
        self.store, self.config, self.ender, self.waiters, self.metrics = store, config, ender, waiters, metrics

    async def run_once(self) -> int:
        """Give lapsed jobs another attempt, or end them; answers how many. Each UPDATE carries its own guard."""
        async with self.store.db.read() as conn:
            rows = [Lapsed(**r) for r in await all_rows(conn, self.store.sql.lapsed)]
        rescued = 0
        for row in rows:
            fate = transitions.after_lapse(row.attempt, self.config.max_attempts, self.config.backoff_ms)
            if fate.final:
                ended = await self.store.db.retrying(lambda conn, row=row: self._give_up(conn, row))
                if ended:
                    self.ender.on_ended(ended)
                    self.metrics.rescues.labels("gave_up").inc()
                rescued += ended is not None
            elif await self.store.db.retrying(lambda conn, row=row, fate=fate: self._retry(conn, row, fate.delay_ms)):
                self.metrics.rescues.labels("retried").inc()
                rescued += 1
                if fate.delay_ms == 0:
                    self.waiters.wake()
        return rescued

    async def _retry(self, conn: AsyncConnection, row: Lapsed, delay_ms: int) -> bool:
        given = {
            "p_id": row.id,
            "p_attempt": row.attempt,
            "p_claimable": int(Claimable.BACKS_OFF if delay_ms else Claimable.NOW),
            "p_delay": delay_ms,
            "p_reason": transitions.BACKOFF if delay_ms else None,
        }
        if not (await conn.execute(self.store.sql.rescue, given)).rowcount:
            return False
        source, target = JobStatus.RUNNING, JobStatus.PENDING
        why = (FailureCode.LEASE_EXPIRED, f"runner {row.runner_id}")
        await self.store.events.write(conn, Happened(row.id, row.app_id, ACTOR, source, target, row.attempt, *why))
        return True

    async def _give_up(self, conn: AsyncConnection, seen: Lapsed) -> JobRow | None:
        """Its last attempt lapsed. The lease is read again under the row's lock: a heartbeat may have come."""
        locked = self.store.sql.raw.with_for_update()
        found = await first_row(conn, locked, {"p_id": seen.id})
        if found is None:
            return None
        row = JobRow.of(found)
        if row.status != JobStatus.RUNNING or row.attempt != seen.attempt:
            return None
        if row.lease_expire_at is None or row.lease_expire_at >= found["now_ms"]:
            return None
        return await self.ender.end(conn, row, both("lease_expired", n=row.attempt), FailureCode.LEASE_EXPIRED)
