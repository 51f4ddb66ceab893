"""Remembering runners when they call. Written seldom and together, so that idle runners cost the database next to nothing."""

from __future__ import annotations

import json
import time

from sqlalchemy import ColumnElement, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from funai.base.db.engine import Database
from funai.contracts.nodes import RunnerInfo
from funai.contracts.states import JobStatus
from funai.contracts.wire import from_epoch_ms
from funai.deploy.tables import job, runner

MAX_REMEMBERED = 10_000
KEPT_MS = 30 * 86_400_000
"""How long a silent runner is remembered: one in a container has a new name with each."""
FORGET_SECONDS = 3600.0
"""A runner silent for longer is new here when it calls again."""


class RunnerRegistry:
    """``stale_seconds``: a runner silent for longer shows as not healthy to the operator."""

    def __init__(self, db: Database, now: ColumnElement[int], stale_seconds: float) -> None:
        self.db, self.now = db, now
        self._every = min(15.0, stale_seconds / 4)
        self._seen: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._due: dict[str, str] = {}
        mine = runner.c.runner_id == bindparam("p_id")
        self._touch = update(runner).where(mine).values(last_seen_ms=now, labels_json=bindparam("p_labels"))

    async def seen(self, runner_id: str, labels: list[str] | None = None) -> None:
        """Remember that the runner called: at once when it is new here or has other labels, else with the next :meth:`write`,
        and at most every quarter of the stale time."""
        before = self._seen.get(runner_id)
        told = tuple(labels) if labels is not None else before[1] if before else ()
        at = time.monotonic()
        same = before is not None and before[1] == told
        if before and same and at - before[0] < self._every:
            return
        if same:
            self._due[runner_id] = json.dumps(told)
        else:
            await self._remember(runner_id, json.dumps(told))
        if len(self._seen) >= MAX_REMEMBERED:
            self._seen.clear()
        self._seen[runner_id] = (at, told)

    async def write(self) -> None:
        """Writes the runners that called since the last time, in one transaction. Call it every second or so."""
        if not self._due:
            return
        due, self._due = self._due, {}
        try:
            async with self.db.write() as conn:
                await conn.execute(self._touch, [{"p_id": name, "p_labels": due[name]} for name in sorted(due)])
        except Exception:
            self._due = due | self._due
            raise

    async def forget(self) -> None:
        """Drop runners that haven't called for a month."""
        self._seen = {name: seen for name, seen in self._seen.items() if time.monotonic() - seen[0] < FORGET_SECONDS}
        async with self.db.write() as conn:
            await conn.execute(delete(runner).where(runner.c.last_seen_ms < self.now - KEPT_MS))

    async def _remember(self, runner_id: str, labels: str) -> None:
        self._due.pop(runner_id, None)
        try:
            await self._put(runner_id, labels)
        except IntegrityError:  # another instance met it first
            await self._put(runner_id, labels)

    async def _put(self, runner_id: str, labels: str) -> None:
        async with self.db.write() as conn:
            if not (await conn.execute(self._touch, {"p_id": runner_id, "p_labels": labels})).rowcount:
                new = {"runner_id": runner_id, "labels_json": labels}
                await conn.execute(insert(runner).values(**new, last_seen_ms=self.now, created_ms=self.now))


async def runners(db: Database, stale_seconds: int) -> list[RunnerInfo]:
    """Every runner seen in a month, by id; healthy when it was seen within ``stale_seconds``."""
    held = (
        select(job.c.runner_id, func.count().label("jobs"))
        .where(job.c.status == JobStatus.RUNNING.value)
        .group_by(job.c.runner_id)
    )
    async with db.read() as conn:
        now_ms = await db.clock(conn)
        jobs = {r.runner_id: r.jobs for r in await conn.execute(held)}
        rows = (await conn.execute(select(runner).order_by(runner.c.runner_id))).all()
    return [
        RunnerInfo(
            runner_id=r.runner_id,
            last_seen_at=from_epoch_ms(r.last_seen_ms),
            last_seen_at_ms=r.last_seen_ms,
            healthy=(healthy := now_ms - r.last_seen_ms < stale_seconds * 1000),
            health="HEALTHY" if healthy else "STALE",
            running_jobs=jobs.get(r.runner_id, 0),
            labels=json.loads(r.labels_json) if r.labels_json else [],
        )
        for r in rows
    ]
