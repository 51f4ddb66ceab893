"""Stop, start, delete, status, logs; the agent's death at every moment; heartbeats."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request

from funai.agent.engine.contract import Container, ContainerSpec, NetworkSpec, Phase
from funai.agent.engine.dummy import DummyEngine, Script
from funai.agent.heartbeat import STALE_BEATS
from funai.agent.main import heartbeat_of
from funai.agent.workload.containers import labels
from funai.agent.workload.containers.labels import Names
from funai.agent.workload.contract import WorkloadError, view
from funai.base.aio import bind, serving
from funai.base.clients.deploy import NodeDeployClient
from funai.contracts.routes import Route, RouteState
from tests.parts.waiting import eventually
from tests.service.agent.agent import EXITS, SCRIPTS, SILENT, WEB, WEB2, Table, World, world

NAMES = Names(1, 7)


@pytest.fixture
async def here() -> AsyncIterator[World]:
    async with world() as w:
        yield w


async def test_stop_keeps_the_release_and_start_brings_it_back(here: World) -> None:
    await here.deploy(5)
    for _ in range(2):
        assert (await here.post("stop")).json() == {"appId": "7", "status": "STOPPED"}
    assert here.table.state(7) is RouteState.STOPPED
    assert (await here.status())["running"] is False
    for _ in range(2):
        answer = await here.post("start")
        assert answer.status_code == 200, answer.text
    assert here.table.generation(7) == 5
    status = await here.status()
    assert (status["running"], status["generation"], status["containerName"]) == (True, 5, "rt-u-1-7")


async def test_a_deploy_over_a_stopped_app_starts_it(here: World) -> None:
    await here.deploy(5)
    await here.post("stop")
    assert (await here.deploy(6)).status_code == 200

    async def one() -> bool:
        return await here.names() == ["rt-u-1-7"]

    await eventually(one, what="the stopped one is gone")


async def test_a_failed_deploy_over_a_stopped_app_leaves_it_stopped(here: World) -> None:
    await here.deploy(5)
    await here.post("stop")
    assert (await here.deploy(6, EXITS)).status_code == 422
    assert here.table.state(7) is RouteState.STOPPED
    assert await here.names() == [NAMES.stopped]


async def test_a_start_that_fails_leaves_it_stopped(here: World) -> None:
    await here.deploy(5)
    await here.post("stop")
    here.engine.faults.refuse["start"] = "no"
    assert (await here.post("start")).status_code == 502
    assert here.table.state(7) is RouteState.STOPPED
    assert await here.names() == [NAMES.stopped]


async def test_nothing_kept_can_not_be_started(here: World) -> None:
    answer = await here.post("start")
    assert (answer.status_code, answer.json()["reason"]) == (404, "RELEASE_NOT_KEPT")


async def test_delete_leaves_nothing_and_may_be_repeated(here: World) -> None:
    await here.deploy(5)
    for _ in range(2):
        answer = await here.post("delete")
        assert (answer.status_code, answer.json()["status"]) == (200, "DELETED")
    assert await here.names() == []
    assert here.table.routes == {}
    assert await here.engine.networks() == []


async def test_ids_are_strings_and_unknown_apps_do_not_exist(here: World) -> None:
    assert await here.status() == {
        "appId": "7",
        "containerName": "rt-u-1-7",
        "exists": False,
        "running": False,
        "image": None,
        "port": None,
        "generation": None,
        "restartCount": None,
        "crashLooping": None,
        "exitCode": None,
        "startedAt": None,
        "lastExitCode": None,
        "lastExitAt": None,
    }
    answer = await here.http.post("/agent/apps/stop", json={"userId": "1", "appId": "7"})
    assert answer.json()["appId"] == "7"


async def test_logs_tail_and_follow(here: World) -> None:
    await here.deploy(5)
    params = {"userId": 1, "appId": 7, "tail": 1}
    answer = await here.http.get("/agent/apps/logs", params=params)
    assert answer.text == "started\n"
    assert answer.headers["content-type"].startswith("text/plain")
    async with here.http.stream("GET", "/agent/apps/logs", params={**params, "follow": "true"}) as stream:
        pieces = stream.aiter_text()
        assert await anext(pieces) == "started\n"
        await here.post("stop")
        assert [p async for p in pieces] == []
    assert (await here.http.get("/agent/apps/logs", params={"userId": 1, "appId": 9})).status_code == 404


async def test_the_door_wants_its_token(here: World) -> None:
    for path in ("/agent/apps/status?userId=1&appId=7", "/agent/apps/logs?userId=1&appId=7"):
        assert (await here.http.get(path, headers={"X-Runtime-Token": "wrong"})).status_code == 401
    assert (await here.http.get("/internal/health", headers={"X-Runtime-Token": ""})).json() == {"ok": True}


async def test_an_engine_that_is_away_is_503(here: World) -> None:
    here.engine.faults.refuse["containers"] = "out of order"
    assert (await here.http.get("/agent/apps/status", params={"userId": 1, "appId": 7})).status_code == 503


# -- the agent dies ---------------------------------------------------------------------------------------------------


CRASH_POINTS = ["start", "next_exit", "rename", "remove"]


@pytest.mark.parametrize("call", CRASH_POINTS)
@pytest.mark.parametrize("nth", [1, 2])
async def test_killed_at_any_call_the_next_life_finds_one_that_serves(call: str, nth: int) -> None:
    engine, table = DummyEngine(local=SCRIPTS), Table()
    async with world(engine, table) as w:
        await w.deploy(5)
        hang = asyncio.Event()
        _hang_at(engine, call, nth, hang)
        deploying = asyncio.create_task(w.deploy(6, WEB2))
        await asyncio.wait({deploying, asyncio.create_task(hang.wait())}, return_when=asyncio.FIRST_COMPLETED)
        survivors = {c.id: c for c in await engine.containers({})}
        routes = dict(table.routes)
        # kill -9: what the dying agent's own clean-up would do from here on does not count
        deploying.cancel()
    fresh = DummyEngine(local=SCRIPTS)
    for box in sorted(survivors.values(), key=lambda c: c.id):
        await _transplant(fresh, box)
    after = Table(routes=routes)
    async with world(fresh, after) as w:
        await w.parts.reconciler.rebuild()
        assert after.generation(7) in (5, 6)
        await w.parts.reconciler.sweep()

        async def settled() -> bool:
            await w.parts.reconciler.sweep()
            return await w.names() == ["rt-u-1-7"]

        await eventually(settled, what="one container is left, with the plain name")
        status = await w.status()
        assert status["running"] is True
        assert status["generation"] == after.generation(7)
        assert (await w.deploy(7)).status_code == 200
    await fresh.close()
    await engine.close()


def _hang_at(engine: DummyEngine, call: str, nth: int, reached: asyncio.Event) -> None:
    original, seen = getattr(engine, call), 0

    async def hanging(*args: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen == nth:
            reached.set()
            await asyncio.Event().wait()
        return await original(*args)

    setattr(engine, call, hanging)


async def _transplant(engine: DummyEngine, box: Any) -> None:
    await engine.ensure_network(NetworkSpec("rt-net-7"))
    id = await engine.create(ContainerSpec(box.name, box.image, 3000, box.labels, "rt-net-7"))
    if box.running:
        await engine.start(id)


async def test_a_restart_finds_apps_stopped_apps_and_their_routes() -> None:
    engine = DummyEngine(local=SCRIPTS)
    async with world(engine) as w:
        await w.deploy(5)
        await w.deploy(6, appId=8)
        await w.post("stop", appId=8)
    async with world(engine, Table()) as w:
        await w.parts.reconciler.rebuild()
        assert (w.table.state(7), w.table.state(8)) == (RouteState.SERVING, RouteState.STOPPED)
    await engine.close()


async def test_an_app_that_is_down_is_known_to_the_next_life_and_after_a_failed_deploy() -> None:
    engine = DummyEngine(local=SCRIPTS)
    async with world(engine) as w:
        await w.deploy(5)
        (live,) = await engine.containers({})
    engine.faults.refuse["start"] = "no such device"
    await engine.crash(live.id)
    async with world(engine, Table()) as w:
        await w.parts.reconciler.rebuild()
        assert w.table.state(7) is RouteState.STARTING
        assert (await w.deploy(6)).status_code == 502
        assert w.table.state(7) is RouteState.STARTING
    await engine.close()


async def test_one_that_is_down_keeps_the_address_it_was_given() -> None:
    async with world(reach="address") as w:
        said = {"funai.appId": "7", "funai.generation": "5", "funai.port": "3000", "funai.address": "10.208.0.2"}
        down = view(7, [labels.instance(Container("id", "rt-u-1-7", said, WEB, Phase.EXITED))])
        assert w.parts.node.desired_route(down) == Route(7, RouteState.SERVING, "10.208.0.2", 3000, 5)


async def test_a_stop_cut_in_the_middle_of_a_drain_is_finished_by_the_next_life() -> None:
    engine, table = DummyEngine(local=SCRIPTS), Table(in_flight=1)
    async with world(engine, table, drain_seconds=30) as w:
        await w.deploy(5)
        await w.deploy(6)
        engine.faults.refuse["stop"] = "the agent is killed here"
        assert (await w.post("stop")).status_code == 503
    engine.faults.refuse.clear()
    async with world(engine, Table()) as w:
        await w.parts.reconciler.rebuild()
        await w.parts.reconciler.sweep()
        assert await w.names() == ["rt-u-1-7-off"]
        assert w.table.state(7) is RouteState.STOPPED
        assert (await w.status())["generation"] == 6
    await engine.close()


async def test_an_app_that_ends_is_started_again_and_a_loop_is_reported(here: World) -> None:
    here.engine.local["localhost/flaky:1"] = Script(exits_after=0.3, exit_code=3)
    await here.deploy(5, "localhost/flaky:1")
    crashes = here.parts.crashes
    for _ in range(4):

        async def ended() -> bool:
            return not (await here.engine.inspect("rt-u-1-7")).running

        await eventually(ended, what="it ended")
        await here.parts.reconciler.sweep()
        if record := crashes._records.get(7):
            record.next_start = 0
        await here.parts.reconciler.sweep()
    assert crashes.looping == [7]
    status = await here.status()
    assert status["crashLooping"] is True
    assert status["restartCount"] >= 3
    assert (status["lastExitCode"], status["lastExitAt"]) == (3, "2026-01-01T00:01:00Z")


# -- heartbeats -------------------------------------------------------------------------------------------------------


async def test_heartbeats_tell_and_heed(here: World) -> None:
    await here.deploy(5)
    beats: list[dict[str, Any]] = []
    deploy = FastAPI()

    @deploy.post("/internal/runtime-nodes/heartbeat")
    async def heartbeat(request: Request) -> dict[str, Any]:
        assert request.headers["X-RT-Node-Token"] == "node-token"
        beats.append(await request.json())
        return {"code": 200, "message": "", "data": {"nodeId": 1, "health": "HEALTHY", "stalePlacements": [7, 99]}}

    async with serving(deploy, bind("127.0.0.1", 0), grace=1) as port:
        client = NodeDeployClient(f"http://127.0.0.1:{port}", "node-token")
        beat = heartbeat_of(here.parts, client)
        for _ in range(STALE_BEATS - 1):
            await beat.beat()
        assert await here.names() == ["rt-u-1-7"]
        await beat.beat()
        assert await here.names() == []
        await client.close()
    assert beats[0]["nodeName"] == "local"
    assert beats[0]["containerCount"] == 1
    assert 0 <= beats[0]["diskFreePct"] <= 100
    assert beats[1]["cpuPct"] >= 0


async def test_a_deploy_is_told_at_once_and_what_is_stale_waits_for_the_beat(here: World) -> None:
    told, deploy, stop = asyncio.Event(), FastAPI(), asyncio.Event()

    @deploy.post("/internal/runtime-nodes/heartbeat")
    async def heartbeat(request: Request) -> dict[str, Any]:
        assert (await request.json())["containerCount"] > 0
        told.set()
        return {"code": 200, "message": "", "data": {"nodeId": 1, "health": "HEALTHY", "stalePlacements": [7]}}

    async with serving(deploy, bind("127.0.0.1", 0), grace=1) as port:
        client = NodeDeployClient(f"http://127.0.0.1:{port}", "node-token")
        following = asyncio.create_task(heartbeat_of(here.parts, client).follow(stop))
        for generation in range(5, 5 + STALE_BEATS):
            await here.deploy(generation)
            await told.wait()
            told.clear()
        stop.set()
        await following
        await client.close()
    assert await here.names() != []


async def test_an_app_that_moved_away_is_removed_at_once_up_to_its_generation_and_a_late_rollout_is_refused(
    here: World,
) -> None:
    told: list[dict[str, int]] = [{"appId": 7, "generation": 4}]
    deploy = FastAPI()

    @deploy.post("/internal/runtime-nodes/heartbeat")
    async def heartbeat() -> dict[str, Any]:
        data = {"nodeId": 1, "health": "HEALTHY", "stalePlacements": [7], "removals": told}
        return {"code": 200, "message": "", "data": data}

    await here.deploy(5)
    async with serving(deploy, bind("127.0.0.1", 0), grace=1) as port:
        client = NodeDeployClient(f"http://127.0.0.1:{port}", "node-token")
        beat = heartbeat_of(here.parts, client)
        await beat.beat()
        assert await here.names() == ["rt-u-1-7"]
        told[0]["generation"] = 9
        await beat.beat()
        assert await here.names() == []
        await client.close()
    late = await here.deploy(8)
    assert (late.status_code, late.json()["reason"]) == (409, "STALE_GENERATION")
    assert (await here.deploy(10)).status_code == 200


async def test_an_app_in_a_rollout_is_not_taken_away(here: World) -> None:
    slow = asyncio.create_task(here.deploy(5, SILENT))
    await eventually(lambda: here.parts.node.busy.rolling(7), what="it is under way")
    client = NodeDeployClient("http://127.0.0.1:1", "x")
    beat = heartbeat_of(here.parts, client)
    for _ in range(STALE_BEATS + 1):
        await beat._heed([7])
    assert (await slow).status_code == 422
    await client.close()


async def test_engine_that_does_not_answer_is_in_the_nodes_health_until_it_does() -> None:
    async with world() as here:
        here.engine.faults.down = True
        with pytest.raises(WorkloadError):
            await here.parts.look.look()
        (problem,) = (await here.http.get("/internal/health")).json()["problems"]
        assert "container engine" in problem["en"] and "engine.log" in problem["en"] and "容器引擎" in problem["zh"]
        here.engine.faults.down = False
        await here.parts.look.look()
        assert "problems" not in (await here.http.get("/internal/health")).json()
