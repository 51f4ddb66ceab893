"""The queue's rules over HTTP: turns, waiting for a node, rollbacks, variables, logs, stopping."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from funai.base.config.sealing import Sealer
from funai.contracts.errors import Conflict, NotFound
from funai.contracts.jobs import AppendLog, ClaimJob, CreateJob, Job, JobResult, Payload, ReportJob
from funai.contracts.states import JobStatus, JobType
from funai.deploy.tables import job_event, runner
from tests.parts.waiting import eventually
from tests.service.deploy.queue.kit import Deploy, deploying


async def claim(d: Deploy, runner: str = "r1", wait: float = 0) -> Job:
    got = await d.runner.claim(ClaimJob(runner_id=runner, lease_seconds=60, wait_seconds=wait))
    assert got is not None
    return got


async def report(d: Deploy, job: Job, status: JobStatus = JobStatus.FAILED, result: JobResult | None = None) -> None:
    said = ReportJob(runner_id=job.runner_id or "", lease_token=job.lease_token, status=status, result=result)
    await d.runner.report(job.id, said)


async def test_one_users_many_jobs_delay_anothers_by_one(database_url: str) -> None:
    async with deploying(database_url) as d:
        await d.node()
        for app in range(1, 11):
            await d.create(app, user_id=1)
        await d.create(50, user_id=2)
        single = (await d.api.jobs_by_app(50, 1))[0]
        assert single.queue_position == 2
        assert [(await claim(d)).payload["userId"] for _ in range(3)] == [1, 2, 1]


async def test_who_had_much_to_do_is_not_behind_for_it_after_a_lull(database_url: str) -> None:
    async with deploying(database_url) as d:
        await d.node()
        for app in range(1, 7):
            await d.create(app, user_id=1)
        for _ in range(5):
            await report(d, await claim(d))
        await claim(d)
        for app in range(21, 25):
            await d.create(app, user_id=2)
        await d.create(11, user_id=1)
        assert [(await claim(d)).payload["userId"] for _ in range(5)] == [2, 2, 1, 2, 2]


async def test_plain_order_begins_behind_what_the_fair_one_left(database_url: str) -> None:
    async with deploying(database_url) as d:
        await d.node()
        for app in (1, 2, 3):
            await d.create(app, user_id=1)
    async with deploying(database_url, queue_order="fifo") as d:
        await d.create(50, user_id=2)
        assert [(await claim(d)).payload["appId"] for _ in range(4)] == [1, 2, 3, 50]


async def test_plain_fifo_is_a_setting(sqlite_url: str) -> None:
    async with deploying(sqlite_url, queue_order="fifo") as d:
        await d.node()
        for app in (1, 2, 3):
            await d.create(app, user_id=1)
        await d.create(50, user_id=2)
        assert [(await claim(d)).payload["appId"] for _ in range(4)] == [1, 2, 3, 50]


async def test_without_a_node_jobs_wait_and_go_on_when_one_comes(database_url: str) -> None:
    async with deploying(database_url) as d:
        first, second = await d.create(1), await d.create(2)
        assert await d.runner.claim(ClaimJob(runner_id="r1")) is None
        waits = await d.api.job(first)
        assert (waits.status, waits.reason, waits.queue_position) == (JobStatus.PENDING, "NO_RUNTIME_NODE", None)
        waiting = asyncio.create_task(claim(d, wait=20))
        await eventually(lambda: d.core.waiters.waiting)
        await d.node()
        assert (await waiting).id == first
        assert (await claim(d, wait=5)).id == second


async def test_waiting_for_a_node_ends(sqlite_url: str) -> None:
    async with deploying(sqlite_url, max_waiting_seconds=1) as d:
        job_id = await d.create(1)
        assert await d.runner.claim(ClaimJob(runner_id="r1")) is None

        async def failed() -> bool:
            await d.runner.claim(ClaimJob(runner_id="r1"))
            return (await d.api.job(job_id)).status is JobStatus.FAILED

        await eventually(failed, seconds=15, every=0.1)
        ended = await d.api.job(job_id)
        assert ended.failure is not None
        assert (ended.failure.code, ended.failure.blame) == ("NO_NODE", "platform")


async def test_a_rollback_runs_the_releases_image_and_variables(sqlite_url: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    sealed = Sealer.from_file(key, create=True).seal({"COLOUR": "green", "build:COLOUR": ""})
    async with deploying(sqlite_url, env_key_file=key) as d:
        await d.node()
        job_id = await d.create(1, env_sealed=sealed)
        assert "envSealed" not in (await d.api.job(job_id)).payload
        first = await claim(d)
        assert (first.payload["env"], first.payload["buildEnv"]) == ({"COLOUR": "green"}, ["COLOUR"])
        digest = "sha256:" + "a" * 64
        result = JobResult(
            image="registry.local/x/y:1", digest=digest, container_port=8080, health_path="/up", strip_prefix=False
        )
        await report(d, first, JobStatus.SUCCEEDED, result)
        again = Payload(app_id=1, user_id=1, rollback_of=1)
        await d.api.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=again))
        back = await claim(d)
        assert back.payload["image"] == f"registry.local/x/y@{digest}"
        assert (back.payload["containerPort"], back.payload["healthPath"]) == (8080, "/up")
        assert back.payload["stripPrefix"] is False
        assert back.payload["env"] == {"COLOUR": "green"}
        missing = Payload(app_id=9, user_id=1, rollback_of=1)
        with pytest.raises(NotFound, match="没有可回滚的版本"):
            await d.api.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=missing))


async def test_variables_that_cant_be_opened_fail_the_job(sqlite_url: str, tmp_path: Path) -> None:
    foreign = Sealer.from_file(tmp_path / "other", create=True).seal({"A": "b"})
    async with deploying(sqlite_url) as d:
        await d.node()
        job_id = await d.create(1, env_sealed=foreign)
        assert await d.runner.claim(ClaimJob(runner_id="r1")) is None
        assert (await d.api.job(job_id)).status is JobStatus.FAILED


async def test_an_idempotency_key_makes_one_job(database_url: str) -> None:
    async with deploying(database_url) as d:
        payload = Payload(app_id=1, user_id=1)
        ask = CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload, idempotency_key="k")
        made = await asyncio.gather(*(d.api.create(ask) for _ in range(4)))
        assert len({j.id for j in made}) == 1
        other = ask.model_copy(update={"payload": Payload(app_id=2, user_id=1)})
        with pytest.raises(Conflict) as refused:
            await d.api.create(other)
        assert refused.value.reason == "IDEMPOTENCY_MISMATCH"


async def test_a_log_is_followed_capped_and_repeats_nothing(database_url: str) -> None:
    async with deploying(database_url, log_max_bytes=1024) as d:
        await d.node()
        await d.create(1)
        got = await claim(d)
        following = asyncio.create_task(d.api.log(got.id, 0, wait=10))
        chunk = AppendLog(runner_id="r1", lease_token=got.lease_token, offset=0, chunk="第一行\n")
        assert await d.runner.append_log(got.id, chunk) == 10
        assert (await following).chunk == "第一行\n"
        assert await d.runner.append_log(got.id, chunk) == 10, "a repeated offset changes nothing"
        big = AppendLog(runner_id="r1", lease_token=got.lease_token, offset=10, chunk="x" * 5000)
        assert await d.runner.append_log(got.id, big) == 5010
        ending = asyncio.create_task(d.api.log(got.id, 10_000, wait=10))
        await report(d, got)
        assert (await ending).final
        whole = await d.api.log(got.id, 0)
        assert "log limit reached" in whole.chunk
        assert len(whole.chunk.encode()) < 1300
        with pytest.raises(Conflict) as refused:
            await d.runner.append_log(got.id, big.model_copy(update={"lease_token": "other"}))
        assert refused.value.reason == "LEASE_LOST"


async def test_finished_jobs_are_pruned_with_their_logs(database_url: str) -> None:
    async with deploying(database_url, keep_per_app=2) as d:
        await d.node()
        made: list[int] = []
        for _ in range(5):
            made.append(await d.create(1))
            await report(d, await claim(d))
        await d.core.maintenance.pruner.run_once()
        kept = [j.id for j in await d.api.jobs_by_app(1, 50)]
        assert kept == made[:-3:-1]
        with pytest.raises(NotFound):
            await d.api.job(made[0])


async def test_what_is_old_is_forgotten_however_much_it_is(sqlite_url: str) -> None:
    async with deploying(sqlite_url) as d:
        async with d.core.db.write() as conn:
            line = {"job_id": 1, "at_ms": 1, "actor": "api", "target": "PENDING", "attempt": 0}
            await conn.execute(insert(job_event), [line] * 1_200)
            await conn.execute(insert(runner), [{"runner_id": "gone", "last_seen_ms": 1, "labels_json": "[]"}])
        await d.runner.claim(ClaimJob(runner_id="here"))
        await d.core.maintenance.events.run_once()
        await d.core.jobs.runners.forget()
        assert await d.core.db.fetch_all(select(job_event.c.id)) == []
        assert await d.core.db.fetch_all(select(runner.c.runner_id)) == [{"runner_id": "here"}]


async def test_stopping_answers_everybody_who_waits(sqlite_url: str) -> None:
    async with deploying(sqlite_url) as d:
        job_id = await d.create(1)
        waiting = asyncio.create_task(d.runner.claim(ClaimJob(runner_id="r1", wait_seconds=50)))
        reading = asyncio.create_task(d.api.log(job_id, 0, wait=25))
        await eventually(lambda: d.core.waiters.waiting)
        d.core.release_waiting()
        assert await waiting is None
        assert (await reading).chunk == ""


async def test_what_may_not_be_asked_for(sqlite_url: str) -> None:
    async with deploying(sqlite_url) as d:
        job_id = await d.create(1)
        refused = await d.raw.post(f"/deploy/jobs/{job_id}/transition", json={"toStatus": "RUNNING"})
        assert (refused.status_code, refused.json()["reason"]) == (409, "TRANSITION_REFUSED")
        for path in ("/deploy/jobs?limit=x", "/deploy/jobs/by-app?limit=5"):
            assert (await d.raw.get(path)).status_code == 400
        without = await d.raw.post("/deploy/jobs/claim", json={"runnerId": "r1"})
        assert without.status_code == 401
        deep = json.loads("[" * 400 + "]" * 400)
        for odd in ({"idempotencyKey": "a\0"}, {"payload": {"envSealed": "\0"}}, {"payload": {"appId": 9, "more": deep}}):
            answer = await d.raw.post("/deploy/jobs", json={"type": "BUILD_AND_DEPLOY", "payload": {"appId": 9}, **odd})
            assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_INPUT"), odd
        lenient = {"type": "BUILD_AND_DEPLOY", "payload": {"appId": 77, "newer": {"field": 1}}, "unknown": True}
        made = await d.raw.post("/deploy/jobs", json=lenient)
        assert made.json()["data"]["payload"]["newer"] == {"field": 1}
