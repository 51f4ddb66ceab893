"""Signposts of the containers driver on the dummy engine: whom they lead to, and when they go."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from funai.agent.engine.contract import Container, ContainerSpec
from funai.agent.engine.dummy import DummyEngine
from funai.agent.workload.containers.labels import GENERATION
from funai.agent.workload.containers.signposts import KIND, RANK, TARGET, Signposts
from funai.agent.workload.contract import Endpoint, Instance, Phase, Role
from funai.contracts.routes import Route
from tests.service.agent.agent import SCRIPTS, WEB, World, world


class Proxy:
    """A proxy that has read everything at once."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, bool]] = []

    def labels(self, route: Route, rank: int, network: str = "") -> Mapping[str, str]:
        return {"proxy": f"{route.app_id}:{route.port}:{route.generation}:{rank}:{network}"}

    async def shown(self, app_id: int, generation: int, *, there: bool) -> bool:
        self.asked.append((app_id, generation, there))
        return True


@pytest.fixture
async def engine() -> AsyncIterator[DummyEngine]:
    made = DummyEngine(local=SCRIPTS)
    yield made
    await made.close()


async def standing(world: World) -> list[Container]:
    return [found for found in await world.engine.containers({}) if found.labels.get(KIND) == "signpost"]


def of(container: Container, generation: int) -> Instance:
    return Instance(
        container.id, container.name, 7, Role.LIVE, Phase.RUNNING, 1, generation, port=3000, endpoint=Endpoint("10.0.0.2", 3000)
    )


async def test_lead_to_outranks_the_one_before_and_asks_the_proxy(engine: DummyEngine, tmp_path: Path) -> None:
    proxy = Proxy()
    async with world(engine) as w:
        assert (await w.deploy(5)).status_code == 200
        (app,) = await engine.containers({})
        posts = Signposts(engine, tmp_path, "", proxy, "apps")
        await posts.lead_to(of(app, 4))
        await posts.lead_to(of(app, 4))
        (first,) = await standing(w)
        assert (first.labels[RANK], first.labels["proxy"]) == ("1", "7:3000:4:1:apps")
        assert await posts.apps() == {7}
        assert proxy.asked == [(7, 4, True)] * 2
        await posts.clear(7)
        assert await standing(w) == [] == list(await posts.apps())


async def test_take_down_of_the_first_in_rank_waits_until_the_proxy_follows_the_other(
    engine: DummyEngine, tmp_path: Path
) -> None:
    proxy = Proxy()
    async with world(engine) as w:
        assert (await w.deploy(5)).status_code == 200
        (app,) = await engine.containers({})
        id = await engine.create(ContainerSpec("other", WEB, 3000, {GENERATION: "6"}, "", beside=app.id))
        await engine.start(id)
        other = await engine.inspect(id)
        posts = Signposts(engine, tmp_path, "", proxy)
        await posts.lead_to(of(app, 5))
        await posts.lead_to(of(other, 6))
        assert sorted(sign.labels[RANK] for sign in await standing(w)) == ["1", "2"]
        await posts.take_down(7, other.id)
        assert [sign.labels[TARGET] for sign in await standing(w)] == [app.id]
        assert proxy.asked[-1] == (7, 6, False)
