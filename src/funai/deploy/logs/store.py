"""Job logs in the database: zlib-compressed pieces keyed by the byte they start at, append-only."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from sqlalchemy import ColumnElement, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.contracts.errors import Conflict, NotFound
from funai.contracts.jobs import LogSlice
from funai.contracts.reasons import Reason
from funai.contracts.states import JobStatus
from funai.deploy.logs import chunks
from funai.deploy.queue.transitions import Holder, held_by
from funai.deploy.tables import job, job_log

_STATE = (job.c.status, job.c.runner_id, job.c.lease_token, job.c.attempt, job.c.log_bytes, job.c.log_next, job.c.log_capped)


@dataclass(frozen=True, slots=True)
class LogStore:
    """``cap``: bytes kept of one job's log. ``now``: the database's clock in epoch milliseconds."""

    db: Database
    now: ColumnElement[int]
    cap: int

    async def append(self, job_id: int, who: Holder, offset: int, chunk: bytes) -> int:
        """Append for the job's holder; answers the offset to go on from. Raises JOB_NOT_FOUND, LEASE_LOST, LOG_GAP."""

        async def work(conn: AsyncConnection) -> int:
            locked = select(*_STATE).where(job.c.id == bindparam("p_id"))
            if self.db.dialect.locks_rows:
                locked = locked.with_for_update()
            row = (await conn.execute(locked, {"p_id": job_id})).first()
            if row is None:
                raise NotFound(Reason.JOB_NOT_FOUND)
            if row.status == JobStatus.PENDING or not held_by(row.runner_id, row.lease_token, who):
                raise Conflict(Reason.LEASE_LOST)
            before = chunks.State(row.log_bytes, row.log_next, row.attempt, bool(row.log_capped))
            done = chunks.append(before, offset, chunk, self.cap)
            if done.data:
                await self._insert(conn, job_id, before.stored, done)
            if done.state != before:
                state = done.state
                values = {"log_bytes": state.stored, "log_next": state.next, "log_capped": int(state.capped)}
                await conn.execute(update(job).where(job.c.id == bindparam("p_id")).values(**values), {"p_id": job_id})
            return done.state.next

        return await self.db.retrying(work)

    async def _insert(self, conn: AsyncConnection, job_id: int, start: int, done: chunks.Appended) -> None:
        row = {
            "job_id": job_id,
            "start_byte": start,
            "end_byte": done.state.stored,
            "attempt": done.state.attempt,
            "data": zlib.compress(done.data, 6),
        }
        await conn.execute(insert(job_log).values(at_ms=self.now), row)

    async def read(self, job_id: int, offset: int | None, limit: int) -> LogSlice:
        """From byte ``offset``, at most ``limit`` bytes; None reads the last ``limit`` bytes. Raises JOB_NOT_FOUND."""
        async with self.db.read() as conn:
            head = await conn.execute(select(job.c.status, job.c.log_bytes).where(job.c.id == job_id))
            row = head.first()
            if row is None:
                raise NotFound(Reason.JOB_NOT_FOUND)
            total, final = int(row.log_bytes), JobStatus(row.status).final
            from_end = offset is None
            offset = max(0, total - limit) if offset is None else offset
            if offset >= total:
                return LogSlice(offset=total, next_offset=total, chunk="", final=final)
            pieces = (
                select(job_log.c.start_byte, job_log.c.data)
                .where(job_log.c.job_id == job_id, job_log.c.end_byte > offset, job_log.c.start_byte < offset + limit)
                .order_by(job_log.c.start_byte)
            )
            found = (await conn.execute(pieces)).all()
        data = b"".join(zlib.decompress(p.data) for p in found)
        data = data[offset - found[0].start_byte :] if found else b""
        if from_end:
            skipped = chunks.broken_start(data)
            data, offset = data[skipped:], offset + skipped
        data = chunks.cut(data[:limit], limit, more=offset + limit < total)
        end = offset + len(data)
        return LogSlice(offset=offset, next_offset=end, chunk=data.decode("utf-8", "replace"), final=final and end >= total)
