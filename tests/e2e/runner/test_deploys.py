"""Both modes of a job, from claim to report."""

from __future__ import annotations

import httpx

from tests.e2e.runner.world import World

DOCKERFILE = 'FROM node:20-bookworm-slim\nRUN echo step > /step\nCOPY a /a\nCMD ["sleep", "1"]\n'


async def test_a_commit_becomes_an_image_by_digest(world: World) -> None:
    bare = world.repo("app", {"Dockerfile": DOCKERFILE, "a": "one", "deploy/app.yaml": "port: 4000\nhealthPath: /ok\n"})
    job = world.build(bare, appId=4242)
    report = await world.ended(job)
    assert report["status"] == "SUCCEEDED", report
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
