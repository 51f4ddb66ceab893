"""The audit trail: every transition writes one line in its own transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.observability import log
from funai.contracts.jobs import JobEvent
from funai.contracts.wire import from_epoch_ms
from funai.deploy.tables import job_event

MAX_DETAIL = 1000


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of a job. ``actor`` is ``runner:<id>``, ``api``, ``placement``, ``sweep`` or ``upgrade``."""

    job_id: int
    app_id: int | None
    actor: str
    source: str | None
    target: str
    attempt: int
    reason: str | None = None
    detail: str | None = None


class EventStore:
    """``now`` is the database's clock in epoch milliseconds."""

    def __init__(self, now: ColumnElement[int]) -> None:
        given = ("job_id", "app_id", "actor", "source", "target", "attempt", "reason", "detail", "trace_id")
        self._insert = insert(job_event).inline().values(at_ms=now, **{name: bindparam(f"p_{name}") for name in given})
        self._of_job = (
            select(job_event)
            .where(job_event.c.job_id == bindparam("p_job"))
            .order_by(job_event.c.id)
            .limit(bindparam("p_limit"))
        )
        self._after = (
            select(job_event).where(job_event.c.id > bindparam("p_after")).order_by(job_event.c.id).limit(bindparam("p_limit"))
        )
        self._oldest = select(job_event.c.id, job_event.c.at_ms).order_by(job_event.c.id).limit(bindparam("p_limit"))
        self._now = now

    async def write(self, conn: AsyncConnection, *events: Happened) -> None:
        """Write in the caller's transaction."""
        for event in events:
            await conn.execute(self._insert, _values(event, log.trace_id()))

    async def of_job(self, conn: AsyncConnection, job_id: int, limit: int) -> list[JobEvent]:
        """Oldest first."""
        rows = (await conn.execute(self._of_job, {"p_job": job_id, "p_limit": limit})).mappings()
        return [_event(r) for r in rows]

    async def after(self, conn: AsyncConnection, cursor: int, limit: int) -> list[JobEvent]:
        """In the order of their ids, from the first beyond ``cursor``."""
        rows = (await conn.execute(self._after, {"p_after": cursor, "p_limit": limit})).mappings()
        return [_event(r) for r in rows]

    async def newest(self, conn: AsyncConnection) -> int:
        """The newest event's id, 0 when there is none."""
        return int((await conn.execute(select(func.max(job_event.c.id)))).scalar() or 0)

    async def forget(self, conn: AsyncConnection, job_ids: Sequence[int]) -> None:
        """All events of these jobs."""
        await conn.execute(delete(job_event).where(job_event.c.job_id.in_(job_ids)))

    async def prune(self, conn: AsyncConnection, older_than_ms: int, limit: int) -> int:
        """Drop at most ``limit`` of the oldest lines when they are older than ``older_than_ms``; answers how many."""
        now = int((await conn.execute(select(self._now))).scalar_one())
        rows = (await conn.execute(self._oldest, {"p_limit": limit})).all()
        old = [r.id for r in rows if r.at_ms < now - older_than_ms]
        if old:
            await conn.execute(delete(job_event).where(job_event.c.id.in_(old)))
        return len(old)


def _values(e: Happened, trace: str | None) -> dict[str, object]:
    return {
        "p_job_id": e.job_id,
        "p_app_id": e.app_id,
        "p_actor": e.actor[:160],
        "p_source": e.source,
        "p_target": e.target,
        "p_attempt": e.attempt,
        "p_reason": e.reason,
        "p_detail": e.detail[:MAX_DETAIL] if e.detail else None,
        "p_trace_id": trace,
    }


def _event(row: Mapping[Any, Any]) -> JobEvent:
    return JobEvent(
        id=row["id"],
        job_id=row["job_id"],
        app_id=row["app_id"],
        at=from_epoch_ms(row["at_ms"]),
        actor=row["actor"],
        source=row["source"],
        target=row["target"],
        attempt=row["attempt"],
        reason=row["reason"],
        detail=row["detail"],
    )
