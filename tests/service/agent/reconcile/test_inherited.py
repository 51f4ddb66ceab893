"""A node that an older agent looked after: its containers are the apps, until a deploy replaces them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funai.agent.engine.contract import ContainerSpec, NetworkSpec
from funai.agent.engine.dummy import DummyEngine
from funai.contracts.routes import RouteState
from tests.parts.waiting import eventually
from tests.service.agent.agent import EXITS, SCRIPTS, WEB, WEB2, Table, World, world


async def olders(name: str) -> DummyEngine:
    engine = DummyEngine(local=SCRIPTS)
    await engine.ensure_network(NetworkSpec("older-net"))
    labels = {"traefik.http.services.rt-svc-7.loadbalancer.server.port": "8080"}
    await engine.start(await engine.create(ContainerSpec(name, WEB, 8080, labels, "older-net")))
    return engine


@pytest.fixture
async def table() -> Table:
    return Table()


@pytest.fixture(params=["rt-u-1-7", "rt-u1-app7"])
async def here(request: pytest.FixtureRequest, table: Table) -> AsyncIterator[World]:
    engine = await olders(request.param)
    async with world(engine, table) as w:
        await w.parts.reconciler.rebuild()
        yield w
    await engine.close()


async def test_it_is_routed_and_told_of_from_the_start(here: World) -> None:
    assert (here.table.state(7), here.table.generation(7)) == (RouteState.SERVING, 0)
    status = await here.status()
    assert (status["exists"], status["running"], status["image"], status["port"]) == (True, True, WEB, 8080)
    assert (await here.http.get("/agent/apps/logs", params={"userId": 1, "appId": 7})).status_code == 200


@pytest.mark.parametrize("generation", [None, 5])
async def test_a_deploy_rolls_over_it(here: World, generation: int | None) -> None:
    answer = await here.deploy(generation, WEB2)
    assert answer.status_code == 200, answer.text
    assert here.table.generation(7) == (generation or 1)

    async def one() -> bool:
        return await here.names() == ["rt-u-1-7"]

    await eventually(one, what="the older one is retired")
    assert (await here.status())["image"] == WEB2


async def test_a_deploy_that_fails_leaves_it_untouched(here: World) -> None:
    before = await here.engine.containers({})
    assert (await here.deploy(5, EXITS)).status_code == 422
    assert await here.engine.containers({}) == before
    assert here.table.generation(7) == 0


async def test_stop_start_and_delete(here: World) -> None:
    assert (await here.post("stop")).status_code == 200
    assert (await here.names(), here.table.state(7)) == (["rt-u-1-7-off"], RouteState.STOPPED)
    await here.parts.reconciler.sweep()
    answer = await here.post("start")
    assert answer.status_code == 200, answer.text
    assert (await here.names(), here.table.state(7)) == (["rt-u-1-7"], RouteState.SERVING)
    assert (await here.post("delete")).status_code == 200
    assert (await here.names(), here.table.state(7)) == ([], None)


@pytest.mark.parametrize("call", ["rename", "remove"])
async def test_a_rollout_cut_in_its_commit_is_mended_by_the_next_life(table: Table, call: str) -> None:
    engine = await olders("rt-u-1-7")
    async with world(engine, table, engine_patience_seconds=0.1) as w:
        engine.faults.refuse[call] = "cut"
        await w.deploy(5, WEB2)
    engine.faults.refuse.clear()
    async with world(engine, table) as w:
        await w.parts.reconciler.rebuild()
        await w.parts.reconciler.sweep()

        async def one() -> bool:
            return await w.names() == ["rt-u-1-7"] and table.state(7) is RouteState.SERVING

        await eventually(one, what="one is left and serves")
    await engine.close()


async def test_another_platform_on_the_engine_does_not_take_it(table: Table) -> None:
    engine = await olders("rt-u-1-7")
    async with world(engine, table, instance="demo") as w:
        await w.parts.reconciler.rebuild()
        assert (await w.status())["exists"] is False
        assert table.routes == {}
        assert (await w.post("delete")).status_code == 200
        assert await w.names() == ["rt-u-1-7"]
    await engine.close()
