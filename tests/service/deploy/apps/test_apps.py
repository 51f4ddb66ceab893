"""Stop, start, status, purge and cleanup through the whole Deploy service, with steerable agents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, update

from funai.base.clients.registry.contract import RegistryFailed
from funai.base.clients.transport import AgentRefused, error_of
from funai.contracts import naming
from funai.contracts.errors import CalleeFailed, Conflict, FunaiError
from funai.contracts.jobs import ClaimJob, JobResult, ReportJob
from funai.contracts.nodes import NodeHeartbeat
from funai.contracts.states import JobStatus
from funai.deploy import tables
from tests.service.deploy.apps.agents import Agents, deploying
from tests.service.deploy.queue.kit import ADMIN, Deploy

JSON = {"Content-Type": "application/json"}
DIGEST = "sha256:" + "a" * 64


class Images:
    """The registry's side: remembers, or fails."""

    def __init__(self) -> None:
        self.removed: list[tuple[int, int]] = []
        self.fails = False

    async def remove_app(self, user_id: int, app_id: int) -> str:
        if self.fails:
            raise RegistryFailed("it is away")
        self.removed.append((user_id, app_id))
        return "3 manifests deleted"


@pytest.fixture
def agents() -> Agents:
    return Agents()


@pytest.fixture
def images() -> Images:
    return Images()


@pytest.fixture
async def deploy(sqlite_url: str, agents: Agents, images: Images) -> AsyncIterator[Deploy]:
    async with deploying(sqlite_url, agents, images) as made:
        yield made


async def run(deploy: Deploy, agents: Agents, app_id: int, user_id: int = 1) -> str:
    """Create, claim and report a success; answers the node's name."""
    return await finish(deploy, agents, app_id, await deploy.create(app_id, user_id))


async def finish(deploy: Deploy, agents: Agents, app_id: int, job_id: int) -> str:
    """Claim the job and report a success; answers the node's name."""
    claimed = await deploy.runner.claim(ClaimJob(runner_id="r1"))
    assert claimed is not None
    assert claimed.runtime_node is not None
    assert claimed.id == job_id
    result = JobResult(image="registry.local/x/y:1", digest=DIGEST)
    report = ReportJob(runner_id="r1", status=JobStatus.SUCCEEDED, lease_token=claimed.lease_token, result=result)
    await deploy.runner.report(job_id, report)
    agents.running.add((claimed.runtime_node.name, app_id))
    return claimed.runtime_node.name


async def reassign(deploy: Deploy) -> int:
    """Begin to move app 7 to the second node; answers the id of its job."""
    given = {"appId": 7, "targetNodeId": 2}
    placed = await deploy.api.admin("POST", "/admin/runtime-nodes/reassign", ADMIN, json=given, params={"full": "true"})
    return int(placed["move"]["jobId"])


async def count(deploy: Deploy, table: Any) -> int:
    return len(await deploy.core.db.fetch_all(select(table)))


async def silence(deploy: Deploy, name: str) -> None:
    """The node's last heartbeat was long ago."""
    node = tables.runtime_node
    async with deploy.core.db.write() as conn:
        await conn.execute(update(node).where(node.c.name == name).values(last_heartbeat_ms=1))


async def test_stop_and_start(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7, 3)
    assert (await deploy.api.releases(7))[0].live
    told = await deploy.api.app_call("stop", 3, 7)
    assert (told["appId"], told["status"], told["placed"], told["deferred"], told["cancelledJobId"]) == (
        7,
        "STOPPED",
        True,
        False,
        None,
    )
    assert agents.calls[-1] == ("n1", "stop", "3", "7")
    assert agents.tokens == {"s3cret-agent"}
    assert not (await deploy.api.releases(7))[0].live
    assert (await deploy.api.app_call("stop", 3, 7))["status"] == "STOPPED"
    started = await deploy.api.app_call("start", 3, 7)
    assert started["status"] == "DEPLOYED"
    assert (await deploy.api.releases(7))[0].live
    status = await deploy.api.app_status(3, 7)
    assert (status["running"], status["nodeName"], status["placed"]) == (True, "n1", True)


async def test_stop_start_and_cleanup_name_the_newest_generation_they_are_about(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    await run(deploy, agents, 7)
    await deploy.api.app_call("stop", 1, 7)
    await deploy.api.app_call("start", 1, 7)
    await deploy.api.app_call("cleanup", 1, 7)
    assert agents.generations == [(verb, naming.generation(2, 1)) for verb in ("stop", "start", "delete")]


async def test_a_dead_node_that_the_app_was_moved_from_hides_nothing(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1", 90)
    await run(deploy, agents, 7)
    await deploy.node("n2", 50)
    moves = await reassign(deploy)
    assert await finish(deploy, agents, 7, moves) == "n2"
    agents.dead.add("n1")
    assert (await deploy.api.app_status(1, 7))["nodeName"] == "n2"
    await silence(deploy, "n1")
    await deploy.api.admin("POST", "/admin/runtime-nodes/remove", ADMIN, params={"name": "n1"})
    report = await deploy.api.app_call("cleanup", 1, 7)
    assert report["complete"] is True, report


async def test_an_app_that_was_never_placed(deploy: Deploy, agents: Agents) -> None:
    assert (await deploy.api.app_call("stop", 1, 5))["placed"] is False
    status = await deploy.api.app_status(1, 5)
    assert (status["exists"], status["running"], status["placed"], status["containerName"]) == (False, False, False, "rt-u-1-5")
    with pytest.raises(Conflict) as refused:
        await deploy.api.app_call("start", 1, 5)
    assert refused.value.reason == "APP_NEVER_DEPLOYED"
    assert (await deploy.raw.get("/deploy/apps/logs", params={"userId": 1, "appId": 5})).json()[
        "reason"
    ] == "APP_NEVER_DEPLOYED"
    assert await deploy.api.releases(5) == []
    report = await deploy.api.app_call("cleanup", 1, 5)
    assert report["complete"]
    assert agents.calls == []


async def test_stop_cancels_the_job_first(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    job_id = await deploy.create(7)
    claimed = await deploy.runner.claim(ClaimJob(runner_id="r1"))
    assert claimed is not None
    told = await deploy.api.app_call("stop", 1, 7)
    assert told["cancelledJobId"] == job_id
    assert (await deploy.api.job(job_id)).status is JobStatus.CANCELLED
    assert agents.verbs("n1") == ["stop"]


async def test_stop_waits_for_a_rollout_that_is_just_ending(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    agents.busy["n1"] = 2
    await deploy.api.app_call("stop", 1, 7)
    assert agents.verbs("n1") == ["stop"] * 3
    agents.busy["n1"] = 1
    with pytest.raises(FunaiError) as refused:
        await deploy.api.app_call("start", 1, 7)
    assert refused.value.code == 409


async def test_a_node_that_beats_but_does_not_answer_is_an_error(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    for broken in (agents.dead, agents.hanging):
        broken.add("n1")
        for verb in ("stop", "start"):
            with pytest.raises(CalleeFailed) as failed:
                await deploy.api.app_call(verb, 1, 7)
            assert failed.value.reason == "AGENT_UNREACHABLE"
        with pytest.raises(CalleeFailed):
            await deploy.api.app_status(1, 7)
        assert (await deploy.raw.get("/deploy/apps/logs", params={"userId": 1, "appId": 7})).status_code == 502
        broken.clear()
    assert (await deploy.api.releases(7))[0].live


@pytest.mark.parametrize("how", ["dead", "hanging"])
async def test_a_stop_on_a_node_that_is_gone_is_made_good_when_it_comes_back(deploy: Deploy, agents: Agents, how: str) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    gone: set[str] = getattr(agents, how)
    gone.add("n1")
    await silence(deploy, "n1")
    assert (await deploy.api.app_call("stop", 1, 7))["deferred"] is True
    answer = await deploy.nodes.heartbeat(NodeHeartbeat(node_name="n1", disk_free_pct=80))
    assert answer is not None
    assert answer.stale_placements == [7]
    gone.clear()
    await run(deploy, agents, 7)
    answer = await deploy.nodes.heartbeat(NodeHeartbeat(node_name="n1", disk_free_pct=80))
    assert answer is not None
    assert answer.stale_placements == []


async def test_after_a_reassign_the_old_node_still_serves_and_is_reached(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1", 90)
    await run(deploy, agents, 7)
    await deploy.node("n2", 50)
    await reassign(deploy)
    status = await deploy.api.app_status(1, 7)
    assert (status["running"], status["nodeName"]) == (True, "n1")
    logs = await deploy.raw.get("/deploy/apps/logs", params={"userId": 1, "appId": 7})
    assert (logs.text, logs.headers["content-type"]) == ("n1 says hello\n", "text/plain; charset=utf-8")
    await deploy.api.app_call("stop", 1, 7)
    assert agents.running == set()
    await deploy.core.moves.mover.run_once()
    assert await run(deploy, agents, 7) == "n2"
    answer = await deploy.nodes.heartbeat(NodeHeartbeat(node_name="n1", disk_free_pct=80))
    assert answer is not None
    assert answer.stale_placements == [7]


async def test_start_says_what_the_agent_says(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    agents.running.clear()
    answer = await deploy.raw.post("/deploy/apps/start", json={"userId": 1, "appId": 7})
    assert (answer.status_code, answer.json()["reason"]) == (404, "RELEASE_NOT_KEPT")
    assert not isinstance(error_of("deploy", answer), AgentRefused)


async def test_an_older_agent_keeps_no_release_and_shows_no_logs(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    agents.older.add("n1")
    answer = await deploy.raw.post("/deploy/apps/start", json={"userId": 1, "appId": 7})
    assert (answer.status_code, answer.json()["reason"]) == (404, "RELEASE_NOT_KEPT")
    answer = await deploy.raw.get("/deploy/apps/logs", params={"userId": 1, "appId": 7})
    assert (answer.status_code, answer.json()["reason"]) == (502, "AGENT_TOO_OLD")
    answer = await deploy.raw.get("/deploy/apps/usage", params={"userId": 1, "appId": 7})
    assert (answer.status_code, answer.json()["reason"]) == (502, "AGENT_TOO_OLD")


async def test_purge_forgets_the_app_and_nothing_else(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    await run(deploy, agents, 8)
    await deploy.create(7)
    told = await deploy.api.app_call("purge", 1, 7)
    before = {"deletedJobs": 2, "deletedAppRuns": 1, "deletedPlacements": 1}
    assert told == {"appId": 7, "jobs": 2, "releases": 1, "placements": 1, **before}
    assert await deploy.api.jobs_by_app(7, 10) == []
    assert await deploy.api.releases(7) == []
    assert len(await deploy.api.releases(8)) == 1
    assert [await count(deploy, t) for t in (tables.placement, tables.app_run, tables.release)] == [1, 1, 1]
    assert agents.calls == []
    assert (await deploy.api.app_call("purge", 1, 7))["jobs"] == 0


async def test_cleanup_takes_everything(deploy: Deploy, agents: Agents, images: Images) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    agents.mongo = "db_u1_a7 dropped"
    report = await deploy.api.app_call("cleanup", 1, 7)
    assert (report["appId"], report["complete"]) == (7, True)
    assert [(s["step"], s["ok"], s["detail"]) for s in report["steps"]] == [
        ("remote-images", True, "3 manifests deleted"),
        ("container", True, "removed on n1"),
        ("local-images", True, "2 removed on n1"),
        ("database", True, "db_u1_a7 dropped"),
        ("rows", True, "1 jobs, 1 releases, 1 placements"),
    ]
    assert images.removed == [(1, 7)]
    assert agents.running == set()
    assert await deploy.api.jobs_by_app(7, 10) == []


async def test_no_failing_step_stops_another(deploy: Deploy, agents: Agents, images: Images) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    images.fails = True
    agents.dead.add("n1")
    report = await deploy.api.app_call("cleanup", 1, 7)
    assert not report["complete"]
    assert [(s["step"], s["ok"]) for s in report["steps"]] == [
        ("remote-images", False),
        ("container", False),
        ("local-images", False),
        ("database", False),
        ("rows", True),
    ]
    assert "it is away" in report["steps"][0]["detail"]
    assert "n1" in report["steps"][1]["detail"]
    assert await deploy.api.jobs_by_app(7, 10) == []


async def test_a_cleanup_that_failed_is_made_good_by_another_or_by_the_node(
    deploy: Deploy, agents: Agents, images: Images
) -> None:
    """The rows are gone, but where the container was is remembered: the next try finds it, and the node is told."""
    await deploy.node("n1")
    await run(deploy, agents, 7)
    agents.dead.add("n1")
    await deploy.api.app_call("cleanup", 1, 7)
    answer = await deploy.nodes.heartbeat(NodeHeartbeat(node_name="n1", disk_free_pct=80))
    assert answer is not None
    assert answer.stale_placements == [7]
    agents.dead.clear()
    report = await deploy.api.app_call("cleanup", 1, 7)
    assert report["complete"]
    assert agents.running == set()


async def test_a_database_that_could_not_be_dropped_is_said(deploy: Deploy, agents: Agents) -> None:
    await deploy.node("n1")
    await run(deploy, agents, 7)
    agents.mongo = "failed: no primary"
    report = await deploy.api.app_call("cleanup", 1, 7)
    assert [s["step"] for s in report["steps"] if not s["ok"]] == ["database"]


@pytest.mark.parametrize("verb", ["stop", "start", "purge", "cleanup"])
async def test_bad_targets_are_refused(deploy: Deploy, verb: str) -> None:
    for body in ({}, {"userId": 1}, {"userId": 0, "appId": 1}, {"userId": 1, "appId": "x"}, {"userId": 1, "appId": 2**63}, []):
        answer = await deploy.raw.post(f"/deploy/apps/{verb}", json=body)
        assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_INPUT"), body
    assert (await deploy.raw.post(f"/deploy/apps/{verb}", content=b"{", headers=JSON)).json()["reason"] == "BAD_JSON"
    closed = await deploy.raw.post(f"/deploy/apps/{verb}", json={"userId": 1, "appId": 1}, headers={"X-DEPLOY-SECRET": "no"})
    assert closed.status_code == 401


async def test_every_call_on_every_database(database_url: str, agents: Agents, images: Images) -> None:
    async with deploying(database_url, agents, images) as made:
        await made.node("n1", 90)
        await run(made, agents, 7)
        await made.api.app_call("stop", 1, 7)
        assert not (await made.api.releases(7))[0].live
        await made.api.app_call("start", 1, 7)
        await made.node("n2", 50)
        moves = await reassign(made)
        assert (await made.api.app_status(1, 7))["nodeName"] == "n1"
        assert await finish(made, agents, 7, moves) == "n2"
        report = await made.api.app_call("cleanup", 1, 7)
        assert report["complete"], report
        assert agents.running == set()
        await run(made, agents, 8)
        told = await made.api.app_call("purge", 1, 8)
        assert {k: told[k] for k in ("jobs", "releases", "placements")} == {"jobs": 1, "releases": 1, "placements": 1}
        for table in (tables.job, tables.release, tables.placement, tables.app_run, tables.job_log):
            assert await count(made, table) == 0
