"""Many claimers at once, in processes of their own, some of them killed: every job is executed, and by one holder."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import func, insert, select

from funai.base.db.engine import Database
from funai.contracts.states import JobStatus
from funai.deploy import main
from funai.deploy.queue.maintenance.services import assemble
from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.store import JobStore
from funai.deploy.queue.waiters import Waiters
from funai.deploy.settings import QueueOrder
from funai.deploy.tables import job, job_event
from tests.parts.extent import extent
from tests.parts.waiting import eventually
from tests.service.deploy.queue import claimer
from tests.service.deploy.queue.kit import settings
from tests.service.deploy.queue.neighbours import OneNode, Recorded

CLAIMERS, MANY = extent((6, 400), (16, 2000))


@contextmanager
def claimers(url: str, folder: Path, lease_ms: int) -> Iterator[list[BaseProcess]]:
    """Sixteen of them at work; whatever happens, none outlives the test."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([claimer.__name__])
    made: list[BaseProcess] = [
        context.Process(target=claimer.work, args=(url, f"r{n}", folder / f"r{n}", lease_ms), daemon=True)
        for n in range(CLAIMERS)
    ]
    for process in made:
        process.start()
    try:
        yield made
    finally:
        for process in made:
            process.kill()
            process.join()


async def fill(db: Database, jobs: int) -> None:
    await main.upgrade(db)
    async with db.write() as conn:
        rows = [
            {
                "type": "BUILD_AND_DEPLOY",
                "status": "PENDING",
                "app_id": n,
                "user_id": n % 7,
                "payload_json": "{}",
                "turn": n // 7,
            }
            for n in range(1, jobs + 1)
        ]
        await conn.execute(insert(job), rows)


async def ended(db: Database) -> int:
    row = await db.fetch_one(select(func.count().label("n")).where(job.c.status == JobStatus.SUCCEEDED.value))
    return row["n"] if row else 0


def told(folder: Path) -> Counter[int]:
    """How often each job was finished, by the claimers' own word."""
    return Counter(int(line.split()[0]) for f in folder.glob("r*") for line in f.read_text().splitlines())


async def test_each_of_many_jobs_is_executed_once(database_url: str, tmp_path: Path) -> None:
    db = Database(database_url)
    await fill(db, MANY)
    with claimers(database_url, tmp_path, lease_ms=60_000) as processes:
        await eventually(lambda: not any(p.is_alive() for p in processes), seconds=100, every=0.2)
        assert [p.exitcode for p in processes] == [0] * CLAIMERS
    counted = told(tmp_path)
    assert len(counted) == MANY
    assert set(counted.values()) == {1}
    events = await db.fetch_all(
        select(job_event.c.target, func.count().label("n"), func.count(job_event.c.job_id.distinct()).label("jobs")).group_by(
            job_event.c.target
        )
    )
    assert {e["target"]: (e["n"], e["jobs"]) for e in events} == {"RUNNING": (MANY, MANY), "SUCCEEDED": (MANY, MANY)}
    await db.close()


async def test_killed_claimers_lose_no_job(database_url: str, tmp_path: Path) -> None:
    db = Database(database_url)
    await fill(db, 400)
    store = JobStore(db, placer=OneNode(), releases=Recorded(), order=QueueOrder.FAIR)
    given = settings(database_url, max_attempts=50)
    tender = assemble(store, given, Waiters(), JobMetrics(CollectorRegistry())).tender

    async def tended(done: Any) -> bool:
        await tender.run_once()
        return await done()

    async def some() -> bool:
        return await ended(db) > 60

    async def all_of_them() -> bool:
        return await ended(db) == 400

    with claimers(database_url, tmp_path, lease_ms=1_500) as processes:
        await eventually(lambda: tended(some), seconds=60, what="some jobs ended")
        for process in processes[: CLAIMERS // 2]:
            process.kill()
        await eventually(lambda: tended(all_of_them), seconds=60, what="all jobs ended", every=0.1)
    assert set(told(tmp_path).values()) == {1}, "nothing is finished twice"
    succeeded = select(job_event.c.job_id, func.count().label("n")).where(job_event.c.target == "SUCCEEDED")
    rows = await db.fetch_all(succeeded.group_by(job_event.c.job_id))
    assert (len(rows), {r["n"] for r in rows}) == (400, {1})
    await db.close()
