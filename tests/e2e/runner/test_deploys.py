"""Both modes of a job, from claim to report."""

from __future__ import annotations

import httpx

from funai.base.process.ports import free_port
from tests.e2e.runner.world import MakeWorld, World
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually

DOCKERFILE = 'FROM node:20-bookworm-slim\nRUN echo step > /step\nCOPY a /a\nCMD ["sleep", "1"]\n'


async def test_a_commit_becomes_an_image_by_digest(world: World) -> None:
    bare = world.repo("app", {"Dockerfile": DOCKERFILE, "a": "one", "deploy/app.yaml": "port: 4000\nhealthPath: /ok\n"})
    job = world.build(bare, appId=4242)
    report = await world.ended(job)
    assert report["status"] == "SUCCEEDED", world.deploy.log(job)
    sha = world.git("rev-parse", "HEAD", cwd=bare)
    result = report["result"]
    assert result["gitSha"] == sha and result["built"] is True
    assert (result["containerPort"], result["healthPath"]) == (4000, "/ok")
    assert set(result["phasesMs"]) >= {"clone", "build", "push", "deploy"}
    handed = world.agent.deploys[-1]
    assert handed["image"] == f"{world.registry.address}/t/u1-app4242@{result['digest']}"
    assert handed["generation"] == job * 1024 + 1 and handed["containerPort"] == 4000 and handed["health"]["path"] == "/ok"
    async with httpx.AsyncClient() as http:
        tags = (await http.get(f"http://{world.registry.address}/v2/t/u1-app4242/tags/list")).json()["tags"]
    assert {t.partition("-")[0] for t in tags} == {"latest", sha} and {"latest", sha} < set(tags)
    assert "STEP" in world.deploy.log(job) and "BUILD" in world.deploy.log(job)
    phases = [b.get("phase") for _, b in world.deploy.beats[job]]
    assert [p for p in ("CLONE", "BUILD", "PUSH", "DEPLOY") if p in phases] == ["CLONE", "BUILD", "PUSH", "DEPLOY"]
    assert world.leftovers() == []


@only_in_full  # a build more for counters
async def test_a_runners_numbers_tell_what_became_of_its_jobs(make_world: MakeWorld) -> None:
    port = free_port()
    world: World = await make_world(metrics_port=port)
    bare = world.repo("app", {"Dockerfile": "FROM node:20-bookworm-slim\n"})
    await world.ended(world.build(bare, appId=1))
    await world.ended(world.build(bare, appId=1))
    await world.ended(world.build(bare, gitRef="nope"))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/internal/health")).json()["data"] == {"ok": True}

        async def settled() -> str:
            text = (await http.get("/metrics")).text
            return text if "funai_runner_jobs_in_hand 0.0" in text else ""

        text = await eventually(settled, seconds=5)
    wanted = {
        'funai_runner_jobs_total{code="",outcome="SUCCEEDED"} 2.0',
        'funai_runner_jobs_total{code="GIT_REF_NOT_FOUND",outcome="FAILED"} 1.0',
        'funai_runner_jobs_total{code="",outcome="LEASE_LOST"} 0.0',
        'funai_runner_phase_seconds_count{phase="build"} 1.0',
        'funai_runner_phase_seconds_count{phase="deploy"} 2.0',
        "funai_runner_builds_skipped_total 1.0",
        'funai_runner_evicted_bytes_total{kind="images"} 0.0',
        "funai_runner_slots 2.0",
    }
    assert wanted <= set(text.splitlines())
