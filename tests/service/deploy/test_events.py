"""The outbox of events, over HTTP."""

from __future__ import annotations

import asyncio

from funai.contracts.jobs import ClaimJob, ReportJob
from funai.contracts.states import JobStatus
from tests.service.deploy.queue.kit import Deploy, deploying


async def a_run(deploy: Deploy, app_id: int) -> int:
    job_id = await deploy.create(app_id)
    job = await deploy.runner.claim(ClaimJob(runner_id="r1"))
    assert job is not None and job.id == job_id
    report = ReportJob(runner_id="r1", status=JobStatus.SUCCEEDED, lease_token=job.lease_token)
    await deploy.runner.report(job_id, report)
    return job_id


async def test_events_after_a_cursor_are_every_transition_once(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        await deploy.node()
        await a_run(deploy, 1)
        here = await deploy.api.events(None)
        assert here.events == []
        job_id = await a_run(deploy, 2)
        heard = await deploy.api.events(here.next)
        assert [(e.job_id, e.app_id, e.target) for e in heard.events] == [
            (job_id, 2, target) for target in ("PENDING", "RUNNING", "SUCCEEDED")
        ]
        assert (await deploy.api.events(heard.next)).events == []


async def test_a_waiting_reader_hears_an_end_and_a_stop_releases_it(sqlite_url: str) -> None:
    async with deploying(sqlite_url) as deploy:
        await deploy.node()
        job_id = await deploy.create(1)
        cursor = (await deploy.api.events(None)).next
        hearing = asyncio.create_task(deploy.api.events(cursor, wait=25))
        await deploy.api.cancel(job_id)
        assert [e.target for e in (await hearing).events] == ["CANCELLED"]
        waiting = asyncio.create_task(deploy.api.events((await hearing).next, wait=25))
        deploy.core.release_waiting()
        assert (await waiting).events == []
