"""The whole change of an installation, a service at a time, each step taken back once: every job ends, none runs twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import bcrypt
import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from funai.agent.engine.dummy import DummyEngine, Script
from funai.api import importing
from funai.api import main as api_main
from funai.api.settings import ApiSettings
from funai.base.aio import bind, serving
from funai.base.clients.deploy import RunnerDeployClient
from funai.base.db.engine import Database, sqlite_url
from funai.contracts.agent import AgentDeploy
from funai.contracts.jobs import ClaimJob, HeartbeatJob, ReportJob
from funai.contracts.states import JobStatus
from funai.deploy import main
from funai.runner.publish.rollout import Rollout
from funai.runner.settings import RunnerSettings
from tests.service.agent.agent import TOKEN, world
from tests.service.deploy.migrations.field import NODE_ID, install, job_id, job_row
from tests.service.deploy.migrations.oldpeers import NODE, OldAgent, OldApi, OldDeploy, OldRunner
from tests.service.deploy.queue.kit import ADMIN, SECRET, Deploy, deploying
from tests.service.deploy.queue.kit import NODE as NODE_TOKEN

USERS = (
    "CREATE TABLE fun_ai_user (id BIGINT PRIMARY KEY, user_name VARCHAR(64), password VARCHAR(255), create_time DATETIME)",
    "CREATE TABLE fun_ai_app (id BIGINT PRIMARY KEY, user_id BIGINT, app_name VARCHAR(128), app_status INT)",
    "INSERT INTO fun_ai_app VALUES (101, 4, 'shop', 3)",
)


async def beats(d: Deploy, agent_url: str) -> None:
    """A heartbeat as agents of before send it."""
    beat = {
        "nodeName": NODE,
        "agentBaseUrl": agent_url,
        "gatewayBaseUrl": agent_url,
        "diskFreePct": 70,
        "diskFreeBytes": 7 * 10**11,
    }
    answer = await d.raw.post("/internal/runtime-nodes/heartbeat", json=beat, headers={"X-RT-Node-Token": NODE_TOKEN})
    assert answer.status_code == 200


async def new_runner_works(deploy: RunnerDeployClient) -> int:
    """Today's Runner with a job by image: its client of Deploy, and its rollout on whichever agent."""
    job = await deploy.claim(ClaimJob(runner_id="runner-new"))
    assert job is not None
    assert job.runtime_node is not None
    rollout = Rollout(RunnerSettings(agent_token=SecretStr(TOKEN)))
    app_id = job.payload["appId"]
    wish = AgentDeploy(
        user_id="4",
        app_id=str(app_id),
        image=job.payload["image"],
        base_path=f"/runtime/{app_id}",
        job_id=job.id,
        generation=job.id * 1024 + (job.attempt or 0),
    )
    await rollout.deploy(job.runtime_node, wish, lambda _: None)
    await rollout.close()
    said = ReportJob(runner_id="runner-new", status=JobStatus.SUCCEEDED, lease_token=job.lease_token)
    await deploy.heartbeat(job.wire_id, HeartbeatJob(runner_id="runner-new", lease_token=job.lease_token))
    await deploy.report(job.wire_id, said)
    return job.id


@pytest.fixture
async def field_db(mariadb_url: str) -> AsyncIterator[Database]:
    db = Database(mariadb_url)
    await install(db, [job_row(n, 100 + n % 5) for n in range(20)])
    async with db.write() as conn:
        for statement in USERS:
            await conn.exec_driver_sql(statement)
        digest = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()
        await conn.execute(text("INSERT INTO fun_ai_user VALUES (4, 'ada', :p, NOW())"), {"p": digest})
    yield db
    await db.close()


@asynccontextmanager
async def old_agent() -> AsyncIterator[tuple[OldAgent, str]]:
    agent = OldAgent()
    async with serving(agent.app(), bind("127.0.0.1", 0), grace=0) as port:
        yield agent, f"http://127.0.0.1:{port}"


async def old_deploy_works(old: OldDeploy, app_id: int) -> str:
    """Before the change, and after a way back: a job of the old Deploy ends."""
    runner, job_id = OldRunner(), await old.create(app_id)
    job = await old.claim(runner.id)
    assert job is not None
    await old.report(job["id"], await runner.carry_out(job))
    return job_id


async def new_runner_at_the_old_deploy(old: OldDeploy, app_id: int) -> str:
    """Who takes Deploy back may have today's Runner already."""
    job_id = await old.create(app_id)
    client = RunnerDeployClient("http://old", None, http=httpx.ASGITransport(old.app()))
    await new_runner_works(client)
    await client.close()
    return job_id


async def old_api_reads_and_deletes(api: OldApi, agent: OldAgent, app_id: int) -> None:
    """What its pages read of today's Deploy, and an app's stop and end on an agent of before."""
    (node,) = await api.admin("runtime-nodes/list", ADMIN)
    assert (node["nodeId"], node["name"], node["health"]) == (NODE_ID, NODE, "HEALTHY")
    assert node["lastHeartbeatAtMs"] > 10**12
    placed = await api.admin("runtime-nodes/placements", ADMIN, nodeId=NODE_ID, offset=0, limit=2_000)
    assert {"appId": str(app_id), "nodeId": NODE_ID} in [{k: i[k] for k in ("appId", "nodeId")} for i in placed["items"]]
    assert (placed["nodeId"], placed["total"]) == (NODE_ID, len(placed["items"]))
    (seen,) = await api.admin("runners/list", ADMIN)
    assert (seen["runnerId"], seen["health"]) == ("runner-101", "HEALTHY")
    stopped = await api.stop(app_id)
    assert (stopped["nodeId"], stopped["runtime"]) == (NODE_ID, {"appId": str(app_id), "status": "STOPPED"})
    deleted = await api.delete(app_id)
    assert deleted["complete"], deleted
    assert agent.gone == [str(app_id)]


async def test_every_step_of_the_change_ends_every_job_and_is_taken_back_once(
    field_db: Database, mariadb_url: str, tmp_path: Path
) -> None:
    old, runner = OldDeploy(field_db), OldRunner()
    async with old_agent() as (agent, agent_url):
        async with field_db.write() as conn:
            await conn.execute(text("UPDATE fun_ai_deploy_runtime_node SET agent_base_url = :u"), {"u": agent_url})
        before = await old_deploy_works(old, 201)
        held_id, waits = await old.create(202), await old.create(203)
        held = await old.claim(runner.id)
        assert held is not None

        # Deploy
        await main.upgrade(field_db)
        async with deploying(mariadb_url, runner_auth_enabled=False, agent_token=TOKEN) as d:
            api = OldApi(d.raw)
            await runner.end(d.raw, held)
            await beats(d, agent_url)
            await runner.work(d.raw)
            made = await api.create(204)
            await runner.work(d.raw)
            assert {await api.status(j) for j in (before, held_id, waits, made, job_id(19))} == {"SUCCEEDED"}
            gone = await api.create(206)
            assert str(await runner.work(d.raw)) == gone
            await old_api_reads_and_deletes(api, agent, 206)

        # and back, and forth again
        await main.downgrade(field_db)
        assert {await old.status(j) for j in (before, held_id, waits, made)} == {"SUCCEEDED"}
        back = await old_deploy_works(old, 205)
        by_new = await new_runner_at_the_old_deploy(old, 207)
        await main.upgrade(field_db)
        async with deploying(mariadb_url, runner_auth_enabled=False, agent_token=TOKEN) as d:
            api = OldApi(d.raw)
            assert {await api.status(j) for j in (before, held_id, waits, made, back, by_new)} == {"SUCCEEDED"}
            await beats(d, agent_url)
            await runners_change(d, api, runner)
            await agents_change(d, api, runner, agent, agent_url)
            await apis_change(d, api, field_db, tmp_path)
            assert Counter(agent.deployed).most_common(1)[0][1] == 1, "nothing was deployed twice"
            listed = (await d.raw.get("/deploy/jobs", params={"limit": 200})).json()["data"]
            assert {j["status"] for j in listed} == {"SUCCEEDED"}, "every job ended"


async def runners_change(d: Deploy, api: OldApi, runner: OldRunner) -> None:
    """Today's Runner beside the old one, which ends what it holds; the old one again; today's again."""
    held_id = await api.create(304)
    held = (await d.raw.post("/deploy/jobs/claim", json={"runnerId": runner.id, "leaseSeconds": 30})).json()["data"]
    for app_id, new in ((301, True), (302, False), (303, True)):
        made = await api.create(app_id)
        assert str(await new_runner_works(d.runner) if new else await runner.work(d.raw)) == made
        assert await api.status(made) == "SUCCEEDED"
    assert await api.status(held_id) == "RUNNING"
    await runner.end(d.raw, held)
    assert await api.status(held_id) == "SUCCEEDED"


async def agents_change(d: Deploy, api: OldApi, runner: OldRunner, agent: OldAgent, agent_url: str) -> None:
    """The node's agent is today's, the old one, and today's again; either Runner deploys on each."""
    images = {f"r.local/funaistudio/u4-app{n}:latest": Script() for n in (401, 402, 403, 404)}
    engine = DummyEngine(registry=images)
    async with world(engine) as new:
        new_url = str(new.http.base_url).rstrip("/")
        held_id = await api.create(405)
        held = (await d.raw.post("/deploy/jobs/claim", json={"runnerId": runner.id, "leaseSeconds": 30})).json()["data"]
        for app_id, url, by_new in ((401, new_url, False), (402, agent_url, True), (403, new_url, True), (404, new_url, False)):
            await beats(d, url)
            made = await api.create(app_id)
            await (new_runner_works(d.runner) if by_new else runner.work(d.raw))
            assert await api.status(made) == "SUCCEEDED"
        assert sorted(new.table.routes) == [401, 403, 404]
        assert agent.deployed.count("402") == 1
        await runner.end(d.raw, held)
        assert await api.status(held_id) == "SUCCEEDED", (
            "a job that was placed at the old agent ends there while it runs beside"
        )
    await engine.close()
    await beats(d, agent_url)


async def apis_change(d: Deploy, old: OldApi, field_db: Database, folder: Path) -> None:
    """Today's API knows the users and apps of before by their ids; then the old one makes a job once more."""
    settings: dict[str, Any] = {
        "datasource_url": sqlite_url(folder / "api.db"),
        "jwt_secret": "j" * 40,
        "deploy_secret": SECRET,
    }
    app = api_main.build(
        ApiSettings(**settings, deploy_base_url="http://deploy", image_namespaces=["r.local/funaistudio"]),
        deploy_http=httpx.ASGITransport(d.app),
    )
    async with app.router.lifespan_context(app):
        for take in (importing.import_users, importing.import_apps):
            assert (await take(field_db, app.state.core.db)).taken == 1
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api/api/fun-ai") as http:
            login = await http.post("/auth/login", json={"userName": "ada", "password": "correct horse"})
            http.headers["Authorization"] = login.headers["Authorization"]
            of_before = (await http.get("/deploy/job/info", params={"jobId": job_id(16)})).json()["data"]
            assert (of_before["oldId"], of_before["status"]) == (job_id(16), "SUCCEEDED")
            body = {"image": "r.local/funaistudio/u4-app101:latest"}
            made = (await http.post("/deploy/job/create", params={"appId": 101}, json=body)).json()["data"]
            assert await new_runner_works(d.runner) == made["id"]
            ended = (await http.get("/deploy/job/info", params={"jobId": made["id"]})).json()["data"]
            assert (ended["status"], ended["payload"]["appId"]) == ("SUCCEEDED", 101)
    made = await old.create(501)
    await new_runner_works(d.runner)
    assert await old.status(made) == "SUCCEEDED"
