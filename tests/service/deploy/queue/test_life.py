"""A job's life over HTTP, on every database."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import update

from funai.contracts.errors import Conflict, Unavailable
from funai.contracts.jobs import AppendLog, ClaimJob, HeartbeatJob, Job, JobResult, ReportJob
from funai.contracts.states import JobStatus, Phase
from funai.deploy.queue.store import NewJob
from funai.deploy.tables import job
from tests.parts.waiting import eventually
from tests.service.deploy.queue.kit import NODE, RUNNER, deploying

HALF = "a\x00b\ud800c"
"""No database keeps it as it is."""


async def test_create_claim_heartbeat_report(database_url: str) -> None:
    async with deploying(database_url) as d:
        await d.node()
        made = await d.api.job(await d.create(7))
        assert (made.status, made.queue_position, made.attempt) == (JobStatus.PENDING, 1, None)
        got = await d.runner.claim(ClaimJob(runner_id="r1"))
        assert got is not None
        assert (got.id, got.status, got.attempt) == (made.id, JobStatus.RUNNING, 1)
        assert got.runtime_node is not None
        assert got.runtime_node.agent_base_url == "http://n1:7005"
        assert got.deploy_url == "http://n1/runtime/7/"
        _as_the_field_reads_it(got)
        _as_the_field_reads_it(await d.api.job(got.id))
        assert got.lease_token
        beat = HeartbeatJob(runner_id="r1", lease_token=got.lease_token, phase=Phase.BUILD, phase_message="step 1")
        seen = await d.runner.heartbeat(got.id, beat)
        assert seen.payload["phase"] == "BUILD"
        assert seen.lease_token is None
        assert await d.runner.append_log(got.id, AppendLog(runner_id="r1", offset=0, chunk="建造 ok\n")) == 10
        result = JobResult(image="registry.local/x/y:1", digest="sha256:" + "a" * 64, container_port=3000)
        said = ReportJob(runner_id="r1", lease_token=got.lease_token, status=JobStatus.SUCCEEDED, result=result)
        assert (await d.runner.report(got.id, said)).status is JobStatus.SUCCEEDED
        assert (await d.runner.report(got.id, said)).status is JobStatus.SUCCEEDED
        with pytest.raises(Conflict) as lost:
            await d.runner.report(got.id, said.model_copy(update={"status": JobStatus.FAILED}))
        assert lost.value.reason == "LEASE_LOST"
        log = await d.api.log(got.id, 0)
        assert (log.chunk, log.next_offset, log.final) == ("建造 ok\n", 10, True)
        assert [r.number for r in await d.api.releases(7)] == [1]
        events = (await d.raw.get(f"/deploy/jobs/{got.id}/events")).json()["data"]
        assert [e["target"] for e in events] == ["PENDING", "RUNNING", "SUCCEEDED"]


def _as_the_field_reads_it(job: Job) -> None:
    assert job.started_at is not None and job.runtime_node is not None
    assert (job.payload["attempt"], job.payload["runStartedAt"]) == (1, round(job.started_at.timestamp() * 1000))
    node = job.runtime_node
    assert (node.enabled, node.weight, node.container_count) == (True, 100, 0)
    assert node.last_heartbeat_at is not None and node.disk_free_pct is not None


async def test_one_active_job_per_app_even_in_a_race(database_url: str) -> None:
    async with deploying(database_url) as d:
        made = await asyncio.gather(*(d.create(5) for _ in range(8)), return_exceptions=True)
        refused = [m for m in made if isinstance(m, Conflict)]
        assert len(refused) == 7
        assert {r.reason for r in refused} == {"APP_DEPLOYING"}


async def test_a_waiting_claim_gets_a_new_job_at_once(database_url: str) -> None:
    async with deploying(database_url) as d:
        await d.node()
        waiting = asyncio.create_task(d.runner.claim(ClaimJob(runner_id="r1", wait_seconds=50)))
        await eventually(lambda: d.core.waiters.waiting, what="the claim waits")
        job_id = await d.create(3)
        got = await asyncio.wait_for(waiting, 30)  # it would wait for longer
        assert got is not None
        assert got.id == job_id


async def test_a_rescue_that_hangs_keeps_no_runner_waiting(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another instance may have a lapsed job's row locked for as long as it likes."""
    hangs, let_go = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        hangs.set()
        await let_go.wait()

    async with deploying(database_url) as d:
        await d.node()
        job_id = await d.create(3)
        assert await d.runner.claim(ClaimJob(runner_id="dead", lease_seconds=5)) is not None
        monkeypatch.setattr(d.core.maintenance.tender.rescuer, "run_once", hang)
        async with d.core.db.write() as conn:
            await conn.execute(update(job).where(job.c.id == job_id).values(lease_expire_at=1))
        waiting = asyncio.create_task(d.runner.claim(ClaimJob(runner_id="r1", wait_seconds=20)))
        await eventually(lambda: d.core.waiters.waiting, what="the claim waits")
        await asyncio.wait_for(hangs.wait(), 60)
        other = await d.core.jobs.store.create(NewJob("BUILD_AND_DEPLOY", 4, 1, {"appId": 4, "userId": 1}))  # tells nobody
        got = await asyncio.wait_for(waiting, 60)
        assert got is not None
        assert got.id == other.id
        let_go.set()


async def test_cancel_reaches_the_runner_and_frees_the_app(database_url: str) -> None:
    async with deploying(database_url) as d:
        await d.node()
        await d.create(3)
        got = await d.runner.claim(ClaimJob(runner_id="r1"))
        assert got is not None
        assert (await d.api.cancel(got.id)).cancel_requested is True
        seen = await d.runner.heartbeat(got.id, HeartbeatJob(runner_id="r1", lease_token=got.lease_token))
        assert seen.status is JobStatus.CANCELLED
        with pytest.raises(Conflict):
            await d.runner.heartbeat(got.id, HeartbeatJob(runner_id="r2"))
        await d.create(3)


@pytest.mark.parametrize(
    "said",
    [
        {"status": "FAILED", "failure": {"code": HALF}, "errorMessage": HALF},
        {"status": "SUCCEEDED", "result": {"gitSha": HALF, "healthPath": f"/{HALF}", "containerPort": 10**30, "more": [HALF]}},
    ],
)
async def test_a_last_word_is_taken_whatever_is_in_it(database_url: str, said: dict[str, Any]) -> None:
    async with deploying(database_url) as d:
        await d.node()
        job_id = await d.create(3, container_port=80)
        got = await d.runner.claim(ClaimJob(runner_id="r1"))
        assert got is not None
        body = json.dumps({"runnerId": "r1", "leaseToken": got.lease_token, **said})
        headers = {"X-Runner-Token": RUNNER, "Content-Type": "application/json"}
        answer = await d.raw.post(f"/deploy/jobs/{job_id}/report", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        assert [j.status for j in await d.api.jobs(10)] == [said["status"]], "nor does it spoil the list for everybody"
        assert [r.container_port for r in await d.api.releases(3)] == ([80] if "result" in said else [])


async def test_peers_in_the_field_keep_no_bounds_of_ours(database_url: str) -> None:
    async with deploying(database_url) as d:

        async def say(path: str, **body: Any) -> Any:
            headers = {"X-Runner-Token": RUNNER, "X-RT-Node-Token": NODE, "Content-Type": "application/json"}
            answer = await d.raw.post(path, content=json.dumps(body), headers=headers)
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]

        await say("/internal/runtime-nodes/heartbeat", nodeName="节点 1", agentBaseUrl="", gatewayBaseUrl="")
        assert [(n.name, n.agent_base_url) for n in await d.core.nodes.list()] == [("节点 1", None)]
        await d.node()
        job_id = await d.create(3)
        got = await say("/deploy/jobs/claim", runnerId="构建机 1", leaseSeconds=7_200)
        assert await say("/deploy/jobs/claim", runnerId="构建机 1", leaseSeconds=1) is None
        said = {"runnerId": "构建机 1", "extendSeconds": 1, "phase": "CHECKOUT", "phaseMessage": f"{HALF}{'长' * 900}"}
        seen = await say(f"/deploy/jobs/{job_id}/heartbeat", **said)
        assert "phase" not in seen["payload"], "a word nobody knows is no phase"
        seen = await say(f"/deploy/jobs/{job_id}/heartbeat", **said | {"phase": "BUILD"})
        assert (seen["payload"]["phase"], len(seen["payload"]["phaseMessage"])) == ("BUILD", 499)
        assert got["runnerId"] == seen["runnerId"] == "构建机 1"
        await say(f"/deploy/jobs/{job_id}/report", runnerId="构建机 1", status="FAILED")


@pytest.mark.parametrize("name", ["", " r", "r ", "a  b", "a\tb", "a\u2028b", "a\x85b", "x" * 129])
async def test_a_name_shows_what_it_is(sqlite_url: str, name: str) -> None:
    async with deploying(sqlite_url) as d:
        answer = await d.raw.post("/deploy/jobs/claim", json={"runnerId": name}, headers={"X-Runner-Token": RUNNER})
        assert answer.status_code == 400, answer.text


async def unable(*_: object) -> int:
    raise Unavailable


async def test_a_claim_is_answered_whatever_becomes_of_others(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with deploying(sqlite_url) as d:
        job_id = await d.create(3)
        assert await d.runner.claim(ClaimJob(runner_id="r1")) is None
        await d.node()
        monkeypatch.setattr(d.core.maintenance.tender.promoter, "node_able", unable)
        got = await d.runner.claim(ClaimJob(runner_id="r1", wait_seconds=5))
        assert got is not None
        assert got.id == job_id


async def test_runners_that_wait_are_woken_before_lapsed_jobs_are_seen_to(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with deploying(sqlite_url, sweep_seconds=60, poll_ms=1000) as d:
        await d.node()
        await d.create(3)
        assert await d.runner.claim(ClaimJob(runner_id="r1")) is not None
        monkeypatch.setattr(d.core.maintenance.tender.rescuer, "run_once", unable)
        waiting = asyncio.create_task(d.runner.claim(ClaimJob(runner_id="r2", wait_seconds=5)))
        await eventually(lambda: d.core.waiters.waiting, what="the claim waits")
        monkeypatch.setattr(d.core.waiters, "wake", lambda jobs=1, wake=d.core.waiters.wake: wake(0))
        job_id = await d.create(4)
        monkeypatch.undo()
        monkeypatch.setattr(d.core.maintenance.tender.rescuer, "run_once", unable)
        async with d.core.db.write() as conn:
            await conn.execute(update(job).where(job.c.app_id == 3).values(lease_expire_at=1))
        got = await waiting
        assert got is not None
        assert got.id == job_id
