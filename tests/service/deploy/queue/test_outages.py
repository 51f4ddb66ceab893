"""What breaks in production: the database goes away in mid-load, an instance of several is killed. No job is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from funai.base.clients.deploy import NodeDeployClient, RunnerDeployClient
from funai.base.db.engine import Database
from funai.contracts.errors import Conflict, FunaiError
from funai.contracts.jobs import ClaimJob, Job, ReportJob
from funai.contracts.nodes import NodeHeartbeat
from funai.contracts.states import JobStatus
from funai.deploy import main
from funai.deploy.tables import job
from tests.parts.databases import MariaDB, Postgres
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually
from tests.service.deploy.queue.instance import instance
from tests.service.deploy.queue.kit import NODE, RUNNER, deploying

JOBS = 60
RUNNERS = 4


async def fill(db: Database) -> None:
    async with db.write() as conn:
        rows = [
            {"type": "BUILD_AND_DEPLOY", "status": "PENDING", "app_id": n, "payload_json": "{}"} for n in range(1, JOBS + 1)
        ]
        await conn.execute(insert(job), rows)


async def count(db: Database, status: JobStatus) -> int:
    row = await db.fetch_one(select(func.count().label("n")).where(job.c.status == status.value))
    return row["n"] if row else 0


class Crew:
    """Runners that claim and report over HTTP as ours do: on no answer they ask again, at the next door of several."""

    def __init__(self, doors: Sequence[RunnerDeployClient]) -> None:
        self.doors, self.finished, self.lost = doors, 0, 0
        self.refused: set[int] = set()
        """Runners that got no answer."""

    async def runner(self, n: int) -> None:
        while True:
            got = await self._claim(n)
            if got is not None:
                await self._report(n, got)

    async def _claim(self, n: int) -> Job | None:
        for door in self.doors:
            try:
                return await door.claim(ClaimJob(runner_id=f"r{n}", lease_seconds=5, wait_seconds=2))
            except FunaiError:
                self.refused.add(n)
                await asyncio.sleep(0.05)
        return None

    async def _report(self, n: int, got: Job) -> None:
        said = ReportJob(runner_id=f"r{n}", lease_token=got.lease_token, status=JobStatus.SUCCEEDED)
        while True:
            for door in self.doors:
                try:
                    await door.report(got.id, said)
                    self.finished += 1
                    return
                except Conflict:
                    self.lost += 1
                    return
                except FunaiError:
                    self.refused.add(n)
                    await asyncio.sleep(0.05)


@asynccontextmanager
async def working(doors: Sequence[RunnerDeployClient]) -> AsyncIterator[Crew]:
    crew = Crew(doors)
    tasks = [asyncio.create_task(crew.runner(n)) for n in range(RUNNERS)]
    try:
        yield crew
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("kind", ["postgres", pytest.param("mariadb", marks=only_in_full)])
async def test_the_database_stops_and_starts_in_mid_load(kind: str, request: pytest.FixtureRequest) -> None:
    server: Postgres | MariaDB = request.getfixturevalue(kind)
    url: str = request.getfixturevalue(f"{kind}_url")
    async with deploying(url, max_attempts=20, node_stale_seconds=600) as d:
        await d.node()
        await fill(d.core.db)
        async with working([d.runner]) as crew:
            await eventually(lambda: crew.finished >= 20, seconds=60, what="a third is done")
            await asyncio.to_thread(server.stop)
            try:
                done = crew.finished
                crew.refused.clear()
                await eventually(lambda: len(crew.refused) == RUNNERS, seconds=30, what="every runner meets the outage")
                assert crew.finished <= done + RUNNERS
            finally:
                await asyncio.to_thread(server.start)
            await eventually(lambda: count_is(d.core.db, JOBS), seconds=60, what="every job succeeded")
        assert crew.finished + crew.lost >= JOBS


async def count_is(db: Database, jobs: int) -> bool:
    return await count(db, JobStatus.SUCCEEDED) == jobs


async def test_two_instances_and_one_is_killed(postgres_url: str, tmp_path: Path) -> None:
    db = Database(postgres_url)
    await main.upgrade(db)
    with instance(postgres_url, tmp_path / "a.log") as (first, a), instance(postgres_url, tmp_path / "b.log") as (_, b):
        doors = [RunnerDeployClient(f"http://127.0.0.1:{port}", RUNNER, timeout=5) for port in (a, b)]
        node = NodeDeployClient(f"http://127.0.0.1:{b}", NODE)
        await node.heartbeat(
            NodeHeartbeat(node_name="n1", agent_base_url="http://n1:7005", gateway_base_url="http://n1", disk_free_pct=80)
        )
        await fill(db)
        async with working(doors) as crew:
            await eventually(lambda: crew.finished >= 20, seconds=60, what="a third is done")
            first.kill()
            await eventually(lambda: count_is(db, JOBS), seconds=60, what="every job succeeded")
        for client in (*doors, node):
            await client.close()
    assert await count(db, JobStatus.SUCCEEDED) == JOBS
    await db.close()
