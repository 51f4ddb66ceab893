"""A container that an older agent made, with the contract's name and Traefik's labels only, on real Podman."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from tests.e2e.agent.agent import Agent, Process, visiting
from tests.e2e.agent.conftest import NewAgent
from tests.e2e.agent.images import image
from tests.e2e.agent.test_survival import Visitors
from tests.parts.extent import only_in_full
from tests.parts.podman import Podman
from tests.parts.waiting import eventually

_apps = itertools.count(90_001)


@pytest.fixture(scope="module")
def plain_agent(new_agent: NewAgent) -> Process:
    """An agent with the contract's plain names: older agents knew no others."""
    return new_agent(instance="")


@pytest.fixture(params=["rt-u-1-{}", pytest.param("rt-u1-app{}", marks=only_in_full)])
def older(request: pytest.FixtureRequest, podman: Podman) -> tuple[int, str]:
    """(app id, container name) of a running container made by hand."""
    app = next(_apps)
    name = request.param.format(app)
    port = f"traefik.http.services.rt-svc-{app}.loadbalancer.server.port=80"
    podman.cli("run", "--detach", "--name", name, "--label", "traefik.enable=true", "--label", port, image("port80"))
    return app, name


@pytest.fixture
async def agent(plain_agent: Process, older: tuple[int, str]) -> AsyncIterator[Agent]:
    async with visiting(plain_agent, older[0]) as view:
        yield view


async def served(agent: Agent) -> bool:
    return (await agent.get()).status_code == 200


async def test_it_serves_and_a_deploy_rolls_over_it(agent: Agent, podman: Podman, older: tuple[int, str]) -> None:
    await eventually(lambda: served(agent), what="the gateway leads to it")
    status = await agent.status()
    assert (status["containerName"], status["running"], status["port"], status["generation"]) == (older[1], True, 80, 0)
    async with Visitors(agent) as visitors:
        failed = await agent.deploy(4, "exits")
        assert failed.status_code == 422, failed.text
        answer = await agent.deploy(5)
        assert answer.status_code == 200, answer.text

        async def alone() -> bool:
            return podman.cli("ps", "--all", "--filter", f"name={agent.app}", "--format", "{{.Names}}") == f"rt-u-1-{agent.app}"

        await eventually(alone, seconds=20, what="the older one is drained and gone")
    assert (visitors.failures, visitors.answers > 5) == ([], True)
    assert (await agent.status())["generation"] == 5


async def test_it_is_stopped_started_read_and_deleted(agent: Agent, podman: Podman) -> None:
    await eventually(lambda: served(agent), what="the gateway leads to it")
    assert (await agent.http.get("/agent/apps/logs", params={"userId": 1, "appId": agent.app})).status_code == 200
    assert (await agent.post("stop")).status_code == 200
    assert (await agent.get()).status_code == 503
    answer = await agent.post("start")
    assert answer.status_code == 200, answer.text
    assert (await agent.get()).text == "web\n"
    assert (await agent.post("delete")).status_code == 200
    assert (await agent.get()).status_code == 404
    assert podman.cli("ps", "--all", "--filter", f"name={agent.app}", "--quiet") == ""
