"""The doors and the wire of placement: exact paths, tokens, what a peer of the contract sends and reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from funai.contracts.jobs import ClaimJob
from tests.service.deploy.queue.kit import ADMIN, NODE, Deploy, deploying


@pytest.fixture
async def deploy(sqlite_url: str) -> AsyncIterator[Deploy]:
    async with deploying(sqlite_url) as made:
        yield made


async def beat(deploy: Deploy, token: str = NODE, **body: Any) -> httpx.Response:
    given = {"nodeName": "n1", "agentBaseUrl": "http://10.0.0.1:7005", "gatewayBaseUrl": "http://10.0.0.1", **body}
    return await deploy.raw.post("/internal/runtime-nodes/heartbeat", json=given, headers={"X-RT-Node-Token": token})


async def admin(deploy: Deploy, method: str, path: str, token: str = ADMIN, **kw: Any) -> httpx.Response:
    return await deploy.raw.request(method, f"/admin/{path}", headers={"X-Admin-Token": token}, **kw)


async def test_a_heartbeat_as_agents_in_the_field_send_it(deploy: Deploy) -> None:
    answer = await beat(deploy, diskFreePct=42.5, diskFreeBytes=10**11, containerCount=3, somethingNew={"x": 1})
    assert answer.status_code == 200
    assert answer.json()["code"] == 200
    assert answer.json()["data"] == {"nodeId": 1, "health": "HEALTHY", "stalePlacements": []}
    assert (await beat(deploy, diskFreePct=42.5)).json()["data"]["nodeId"] == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"nodeName": ""},
        {"nodeName": "../x"},
        {"agentBaseUrl": "ftp://x"},
        {"agentBaseUrl": "http://x?y"},
        {"diskFreePct": 101},
        {"diskFreePct": "NaN"},
        {"diskFreeBytes": 2**63},
        {"containerCount": -1},
        {"crashLooping": [0]},
    ],
)
async def test_a_heartbeat_that_makes_no_sense_is_refused(deploy: Deploy, bad: dict[str, Any]) -> None:
    answer = await beat(deploy, **bad)
    assert (answer.status_code, answer.json()["reason"]) == (400, "BAD_INPUT")


async def test_each_door_has_its_own_token(deploy: Deploy) -> None:
    assert (await beat(deploy, token=ADMIN)).status_code == 401
    for path in ("runtime-nodes/list", "runtime-nodes/placements", "runners/list"):
        assert (await admin(deploy, "GET", path, token=NODE)).status_code == 401
        assert (await admin(deploy, "GET", path)).status_code == 200


async def test_the_operators_calls(deploy: Deploy) -> None:
    await beat(deploy, diskFreePct=60)
    made = await admin(
        deploy,
        "POST",
        "runtime-nodes/upsert",
        json={"name": "n2", "agentBaseUrl": "http://n2:7005", "gatewayBaseUrl": "http://n2", "weight": 5},
    )
    assert made.json()["data"]["health"] == "STALE"
    await beat(deploy, nodeName="n2", diskFreePct=50)
    await deploy.create(7)
    job = await deploy.runner.claim(ClaimJob(runner_id="r1"))
    assert job is not None
    assert job.runtime_node is not None
    assert (job.runtime_node.id, job.runtime_node.name) == (1, "n1")
    assert job.deploy_url == "http://10.0.0.1/runtime/7/"

    nodes = (await admin(deploy, "GET", "runtime-nodes/list")).json()["data"]
    assert [(n["id"], n["name"], n["health"], n["enabled"], n["placements"], n["weight"]) for n in nodes] == [
        (1, "n1", "HEALTHY", True, 1, 100),
        (2, "n2", "HEALTHY", True, 0, 5),
    ]
    assert nodes[0]["lastHeartbeatAt"].endswith("Z")
    assert nodes[0]["nodeId"] == 1
    assert nodes[0]["lastHeartbeatAtMs"] > 10**12
    placed = (await admin(deploy, "GET", "runtime-nodes/placements", params={"nodeId": 1, "offset": 0, "limit": 10})).json()[
        "data"
    ]
    assert (placed["nodeId"], placed["total"], len(placed["items"])) == (1, 1, 1)
    assert (placed["items"][0]["appId"], placed["items"][0]["nodeId"]) == ("7", 1)
    assert placed["items"][0]["lastActiveAt"] > 10**12

    move = {"appId": 7, "targetNodeId": 2}
    busy = await admin(deploy, "POST", "runtime-nodes/reassign", json=move)
    assert (busy.status_code, busy.json()["reason"]) == (409, "APP_DEPLOYING")
    await deploy.api.cancel(job.id)
    assert (await admin(deploy, "POST", "runtime-nodes/reassign", json=move)).json()["data"] == "ok"
    again = await admin(deploy, "POST", "runtime-nodes/reassign", json=move, params={"full": "true"})
    assert again.json()["data"]["nodeId"] == 2
    old = await admin(deploy, "POST", "runtime-nodes/set-enabled", params={"name": "n2", "enabled": "true"})
    assert old.json()["data"] == "enabled"
    full = {"name": "n2", "enabled": "false", "full": "true"}
    off = await admin(deploy, "POST", "runtime-nodes/set-enabled", params=full)
    assert (off.json()["data"]["enabled"], off.json()["data"]["health"]) == (False, "DRAINING")
    all_of_2 = {"json": {"sourceNodeId": 2}, "params": {"full": "true"}}
    drained = (await admin(deploy, "POST", "runtime-nodes/drain", **all_of_2)).json()["data"]
    as_before = {"sourceNodeId": 2, "moved": [{"appId": 7, "targetNodeId": 1}], "skipped": [], "remaining": 0}
    assert drained == {**as_before, "drainId": None, "moving": None}
    counted = (await admin(deploy, "POST", "runtime-nodes/drain", json={"sourceNodeId": 1})).json()["data"]
    assert (counted["moved"], counted["remaining"]) == (0, 1)

    (runner,) = (await admin(deploy, "GET", "runners/list")).json()["data"]
    assert (runner["runnerId"], runner["healthy"], runner["runningJobs"]) == ("r1", True, 0)
    assert runner["health"] == "HEALTHY"
    assert runner["lastSeenAtMs"] > 10**12


@pytest.mark.parametrize(("limit", "found"), [(0, 1), (-5, 1), (5_000, 2)])
async def test_limits_out_of_bounds_count_as_the_nearest(deploy: Deploy, limit: int, found: int) -> None:
    for app_id in (7, 8):
        await deploy.create(app_id)
    assert len((await deploy.raw.get("/deploy/jobs", params={"limit": limit})).json()["data"]) == found
    placed = (await admin(deploy, "GET", "runtime-nodes/placements", params={"limit": limit, "offset": -1})).json()["data"]
    assert placed == {"nodeId": None, "total": 0, "items": []}


@pytest.mark.parametrize(
    ("method", "path", "kw", "code", "reason"),
    [
        ("POST", "runtime-nodes/set-enabled", {"params": {"name": "x", "enabled": "true"}}, 404, "NODE_NOT_FOUND"),
        ("POST", "runtime-nodes/set-enabled", {"params": {"name": "x"}}, 400, "BAD_INPUT"),
        ("GET", "runtime-nodes/placements", {"params": {"limit": "many"}}, 400, "BAD_INPUT"),
        ("POST", "runtime-nodes/reassign", {"json": {"appId": 1, "targetNodeId": 9}}, 404, "NODE_NOT_FOUND"),
        ("POST", "runtime-nodes/drain", {"json": {"sourceNodeId": 9}}, 404, "NODE_NOT_FOUND"),
        ("POST", "runtime-nodes/upsert", {"json": {"name": "a/b"}}, 400, "BAD_INPUT"),
        ("GET", "runtime-nodes/nonsense", {}, 404, "NOT_FOUND"),
    ],
)
async def test_refusals(deploy: Deploy, method: str, path: str, kw: dict[str, Any], code: int, reason: str) -> None:
    answer = await admin(deploy, method, path, **kw)
    assert (answer.status_code, answer.json()["reason"]) == (code, reason)


async def test_a_job_waits_for_a_node_and_goes_on_when_one_comes(deploy: Deploy) -> None:
    job_id = await deploy.create(7)
    assert await deploy.runner.claim(ClaimJob(runner_id="r1")) is None
    waiting = await deploy.api.job(job_id)
    assert (waiting.status, waiting.reason) == ("PENDING", "NO_RUNTIME_NODE")
    await beat(deploy, diskFreePct=20)
    assert await deploy.runner.claim(ClaimJob(runner_id="r1")) is None
    assert (await deploy.api.job(job_id)).reason == "NODE_DISK_PRESSURE"
    await beat(deploy, diskFreePct=60)
    claimed = await deploy.runner.claim(ClaimJob(runner_id="r1", wait_seconds=5))
    assert claimed is not None
    assert claimed.id == job_id


async def test_a_switched_off_registry_has_no_door(sqlite_url: str) -> None:
    async with deploying(sqlite_url, node_registry_enabled=False, admin_enabled=False) as closed:
        assert (await beat(closed)).status_code == 404
        assert (await admin(closed, "GET", "runtime-nodes/list")).status_code == 404


async def test_figures_of_the_nodes(deploy: Deploy) -> None:
    await beat(deploy, diskFreePct=60, crashLooping=[7, 9])
    await beat(deploy, nodeName="n2", diskFreePct=20)
    await deploy.core.nodes.measure(deploy.core.node_metrics, 90)
    page = (await deploy.raw.get("/metrics")).text
    for line in (
        'funai_deploy_nodes{health="HEALTHY"} 1.0',
        'funai_deploy_nodes{health="DRAINING"} 1.0',
        'funai_deploy_nodes{health="STALE"} 0.0',
        'funai_deploy_node_disk_free_ratio{node="n1"} 0.6',
        'funai_deploy_node_apps{node="n2"} 0.0',
        'funai_deploy_node_state{health="DRAINING",node="n2"} 1.0',
        'funai_deploy_runners{health="HEALTHY"} 0.0',
        'funai_deploy_node_crash_looping_apps{node="n1"} 2.0',
    ):
        assert line in page
    listed = (await admin(deploy, "GET", "runtime-nodes/list")).json()["data"]
    assert listed[0]["crashLooping"] == [7, 9]
