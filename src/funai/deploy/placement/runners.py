"""The runner registry as an operator sees it. Runners are remembered by the queue when they claim or heartbeat."""

from __future__ import annotations

import json

from sqlalchemy import func, select

from funai.base.db.engine import Database
from funai.contracts.nodes import RunnerInfo
from funai.contracts.states import JobStatus
from funai.contracts.wire import from_epoch_ms
from funai.deploy.tables import job, runner


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
