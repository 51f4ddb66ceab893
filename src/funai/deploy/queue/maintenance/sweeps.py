"""Periodic work on jobs: leases expire, waits end, old finished jobs are deleted. Several instances may run it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.rows import one_row
from funai.contracts.jobs import Failure
from funai.contracts.states import FailureCode, JobStatus
from funai.deploy.events.store import Happened
from funai.deploy.queue import transitions
from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.statements import CLAIMABLE, NOT_CLAIMABLE, RUNNING, ownerless_candidates, prune, prune_candidates
from funai.deploy.queue.store import Ending, JobStore
from funai.deploy.queue.views import Row
from funai.deploy.queue.waiters import Waiters
from funai.deploy.settings import DeploySettings
from funai.deploy.tables import job

PROBES = 8
"""Jobs waiting for a node that one sweep lets try again; when one of them is placed, the next follow at once."""
PROMOTE_EARLY = 32
PROMOTE_DUE = 500
PRUNE_BATCH = 50
KEEP_OWNERLESS = 200
OWNERLESS_BATCHES = 20
FORGET_BATCH = 500
FORGET_BATCHES = 100
"""In ten minutes: more than the busiest day writes in as many."""
DEPTH_LIMIT = 10_000
NO_LIMIT_MS = 2**53
_LAPSED = "执行者失联，任务租约到期（已尝试 {n} 次）/ the runner vanished and the lease ran out (attempt {n})"
_TOO_LONG = "运行超过 {n} 秒 / ran for longer than {n} s"
_NO_NODE = "等待运行节点超过 {n} 秒 / no runtime node could take it within {n} s"


class Sweeps:
    """``on_ended`` is told of every job a sweep ended."""

    def __init__(self, store: JobStore, settings: DeploySettings, waiters: Waiters, metrics: JobMetrics) -> None:
        self.store, self.settings, self.waiters, self.metrics = store, settings, waiters, metrics
        self.on_ended: Callable[[Row], None] = lambda _: None
        self.tired_every = min(15.0, settings.max_waiting_seconds / 4)
        """Seconds between looks for jobs that waited too long for a node: such a look reads all that wait."""
        self._tired_at = 0.0
        self._finished_apps: set[int] = set()
        self._last_app = 0

    async def look(self) -> Row:
        """One look at leases and waits, and at the queue for runners that wait here, whatever hints came or didn't: one small
        read. Answers what is due, for :meth:`act`."""
        given, mark = {"p_max_running": self._max_running_ms}, self.waiters.mark()
        async with self.store.db.read() as conn:
            due = await one_row(conn, self.store.sql.due, given)
        if not due["work"]:
            self.waiters.found_nothing(mark)
        elif waiting := self.waiters.waiting:
            self.waiters.wake(len(await self.store.head(min(waiting, 64))))
        return due

    async def act(self, due: Row) -> None:
        """Do what is due. May take its time, where another instance has a row locked."""
        if due["lapsed"]:
            await self.rescue()
        if due["long"]:
            await self.end_overdue()
        if due["backed_off"]:
            self.waiters.wake(await self._promote(self.store.sql.backs_off, 0, PROMOTE_DUE))
        if due["waiting"]:
            if time.monotonic() - self._tired_at >= self.tired_every:
                self._tired_at = time.monotonic()
                await self.end_tired()
            self.waiters.wake(await self._promote(self.store.sql.waits_for_node, 0, PROBES))

    @property
    def _max_running_ms(self) -> int:
        return self.settings.max_running_seconds * 1000 or NO_LIMIT_MS

    async def rescue(self) -> int:
        """Give lapsed jobs another attempt, or end them; answers how many. Each UPDATE carries its own guard."""
        async with self.store.db.read() as conn:
            rows = [dict(r) for r in (await conn.execute(self.store.sql.lapsed)).mappings()]
        rescued = 0
        for row in rows:
            fate = transitions.after_lapse(
                row["attempt"], self.settings.max_attempts, int(self.settings.retry_backoff_seconds * 1000)
            )
            if fate.final:
                ended = await self.store.db.retrying(lambda conn, row=row: self._give_up(conn, row))
                if ended:
                    self.on_ended(ended)
                    self.metrics.rescues.labels("gave_up").inc()
                rescued += ended is not None
            elif await self.store.db.retrying(lambda conn, row=row, fate=fate: self._retry(conn, row, fate.delay_ms)):
                self.metrics.rescues.labels("retried").inc()
                rescued += 1
                if fate.delay_ms == 0:
                    self.waiters.wake()
        return rescued

    async def _retry(self, conn: AsyncConnection, row: Row, delay_ms: int) -> bool:
        given = {
            "p_id": row["id"],
            "p_attempt": row["attempt"],
            "p_claimable": 2 if delay_ms else 1,
            "p_delay": delay_ms,
            "p_reason": transitions.BACKOFF if delay_ms else None,
        }
        if not (await conn.execute(self.store.sql.rescue, given)).rowcount:
            return False
        source, target = JobStatus.RUNNING, JobStatus.PENDING
        why = (FailureCode.LEASE_EXPIRED, f"runner {row['runner_id']}")
        await self.store.events.write(conn, Happened(row["id"], row["app_id"], "sweep", source, target, row["attempt"], *why))
        return True

    async def _give_up(self, conn: AsyncConnection, seen: Row) -> Row | None:
        """Its last attempt lapsed. The lease is looked at again under the row's lock: a heartbeat may have come."""
        locked = self.store.sql.raw.with_for_update()
        row = (await conn.execute(locked, {"p_id": seen["id"]})).mappings().first()
        if row is None or row["status"] != JobStatus.RUNNING or row["attempt"] != seen["attempt"]:
            return None
        if row["lease_expire_at"] is None or row["lease_expire_at"] >= row["now_ms"]:
            return None
        return await self._end(conn, row, _LAPSED.format(n=row["attempt"]), FailureCode.LEASE_EXPIRED)

    async def _end(self, conn: AsyncConnection, row: Any, text: str, code: FailureCode) -> Row | None:
        """The row as it ended, or None when it moved on meanwhile."""
        ending = Ending(JobStatus.FAILED, text, Failure(code=code, blame=code.blame), reason=code)
        if not await self.store.end_guarded(conn, dict(row), ending, "sweep"):
            return None
        return {**row, "status": JobStatus.FAILED.value, "reason": code.value}

    async def end_overdue(self) -> int:
        """FAIL what runs for longer than ``max-running-seconds``; its runner learns so from its next heartbeat."""
        text = _TOO_LONG.format(n=self.settings.max_running_seconds)
        given = {"p_max_running": self._max_running_ms}
        return await self._end_all(self.store.sql.overdue, given, text, FailureCode.RUN_TIMEOUT)

    async def end_tired(self) -> int:
        """FAIL what found no node for longer than ``max-waiting-seconds``."""
        text = _NO_NODE.format(n=self.settings.max_waiting_seconds)
        given = {"p_max_waiting": self.settings.max_waiting_seconds * 1000}
        return await self._end_all(self.store.sql.wait_timed_out, given, text, FailureCode.NO_NODE)

    async def _end_all(self, statement: Any, given: dict[str, Any], text: str, code: FailureCode) -> int:
        rows = await self.store.db.fetch_all(statement, given)
        ended = 0
        for row in rows:
            done = await self.store.db.retrying(lambda conn, row=row: self._end(conn, row, text, code))
            if done:
                self.on_ended(done)
                ended += 1
        return ended

    async def node_able(self) -> int:
        """A node just took one, or became able to: let more of those that wait try, before their time."""
        return await self._promote(self.store.sql.waits_for_node, 60_000, PROMOTE_EARLY)

    async def _promote(self, which: Any, early_ms: int, limit: int) -> int:
        async def work(conn: AsyncConnection) -> int:
            found = await conn.execute(which, {"p_early": early_ms, "p_limit": limit})
            ids = list(found.scalars())
            if not ids:
                return 0
            return int((await conn.execute(self.store.sql.promote, {"p_ids": ids})).rowcount)

        return await self.store.db.retrying(work)

    # ------------------------------------------------------------------ growing old

    def app_finished(self, app_id: int) -> None:
        """One of its jobs ended: it may have more than ``keep-per-app`` now."""
        self._finished_apps.add(app_id)

    async def prune(self) -> int:
        """Drop finished jobs (and their logs) beyond the latest few of each app that lately finished one."""
        dropped = 0
        for _ in range(min(len(self._finished_apps), PRUNE_BATCH)):
            dropped += await self.prune_app(self._finished_apps.pop())
        return dropped

    async def prune_app(self, app_id: int) -> int:
        dropped = await self._drop(prune_candidates(), {"p_app": app_id, "p_keep": self.settings.keep_per_app})
        if dropped == PRUNE_BATCH:
            self._finished_apps.add(app_id)
        return dropped

    async def prune_ownerless(self) -> int:
        """Drop finished jobs of no app beyond the newest ``KEEP_OWNERLESS``, in small batches; answers how many."""
        total = 0
        for _ in range(OWNERLESS_BATCHES):
            dropped = await self._drop(ownerless_candidates(), {"p_keep": KEEP_OWNERLESS})
            if not dropped:
                break
            total += dropped
        return total

    async def _drop(self, candidates: Any, given: dict[str, Any]) -> int:
        """One batch of jobs that grew old, with their logs; answers how many."""
        async with self.store.db.read() as conn:
            ids = list((await conn.execute(candidates, {**given, "p_limit": PRUNE_BATCH})).scalars())
        if not ids:
            return 0
        async with self.store.db.write() as conn:
            for statement in prune():
                await conn.execute(statement, {"p_ids": ids})
        return len(ids)

    async def find_old(self) -> int:
        """Walk on through the apps, a few hundred a call, and note those with too many jobs (from before a restart)."""
        apps = (
            select(job.c.app_id, func.count().label("jobs"))
            .where(job.c.app_id > self._last_app)
            .group_by(job.c.app_id)
            .order_by(job.c.app_id)
            .limit(500)
        )
        rows = await self.store.db.fetch_all(apps)
        self._last_app = rows[-1]["app_id"] if rows else 0
        found = [r["app_id"] for r in rows if r["jobs"] > self.settings.keep_per_app]
        self._finished_apps.update(found)
        return len(found)

    async def forget_events(self) -> int:
        """Drop old audit lines in small batches, until none is old or it has been enough for now; answers how many."""
        dropped = 0
        for _ in range(FORGET_BATCHES):
            async with self.store.db.write() as conn:
                gone = await self.store.events.prune(conn, self.settings.event_keep_days * 86_400_000, FORGET_BATCH)
            dropped += gone
            if gone < FORGET_BATCH:
                break
        return dropped

    # ------------------------------------------------------------------ figures

    async def measure(self) -> None:
        """Refresh the gauges. Depth is counted up to 10,000."""
        for state, condition in (("claimable", CLAIMABLE), ("waiting", NOT_CLAIMABLE), ("running", RUNNING)):
            some = select(job.c.id).where(condition).limit(DEPTH_LIMIT).subquery()
            row = await self.store.db.fetch_one(select(func.count().label("n")).select_from(some))
            self.metrics.depth.labels(state).set(row["n"] if row else 0)
        head = select(job.c.created_ms, self.store.now.label("now_ms")).where(CLAIMABLE)
        oldest = await self.store.db.fetch_one(head.order_by(job.c.turn, job.c.id).limit(1))
        self.metrics.oldest.set((oldest["now_ms"] - oldest["created_ms"]) / 1000 if oldest else 0)
        self.metrics.waiting_runners.set(self.waiters.waiting)
