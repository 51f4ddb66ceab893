"""The labels driver with Traefik itself on Podman's API, where one is on PATH; containers of older agents among the apps."""

from __future__ import annotations

import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agent.agent import Agent, Process, visiting
from tests.e2e.agent.conftest import NewAgent
from tests.e2e.agent.images import image
from tests.e2e.agent.test_survival import Visitors
from tests.parts.daemon import Daemon
from tests.parts.podman import Podman
from tests.parts.programs import on_path
from tests.parts.waiting import eventually, free_port

_apps = itertools.count(91_001)


@pytest.fixture(scope="module")
def traefik_agent(new_agent: NewAgent, podman_socket: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """An agent with the contract's plain names, whose apps the operator's Traefik serves by their labels."""
    program, port = on_path("traefik"), free_port()
    words = (
        program,
        f"--entryPoints.web.address=127.0.0.1:{port}",
        "--providers.docker=true",
        f"--providers.docker.endpoint=unix://{podman_socket}",
        "--providers.docker.exposedByDefault=false",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--log.level=ERROR",
    )

    def listens() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    traefik = Daemon("traefik", words, log=tmp_path_factory.mktemp("traefik") / "traefik.log", ready=listens)
    traefik.start()
    gateway = {"driver": "traefik-labels", "public_url": f"http://127.0.0.1:{port}/"}
    process = new_agent(instance="", gateway=gateway, traefik_enable=True)
    process.gateway_port = port  # where visitors go
    yield process
    traefik.kill()


@pytest.fixture
async def agent(traefik_agent: Process) -> AsyncIterator[Agent]:
    async with visiting(traefik_agent, next(_apps)) as view:
        yield view


def signposts(podman: Podman, agent: Agent) -> list[str]:
    return podman.cli("ps", "--all", "--quiet", "--filter", f"label=funai.signpost={agent.app}").split()


async def test_deploys_lose_no_request(agent: Agent, podman: Podman) -> None:
    """New requests go to one generation alone, by a container that is gone when the app has one again.

    The app is Node's: it keeps connections open, and ends on SIGTERM at once.
    """
    podman.build_web("localhost/keeps:1", "kept")
    app: dict[str, Any] = {"image": "localhost/keeps:1", "containerPort": 80, "health": {"timeoutSeconds": 20}}
    assert (await agent.post("deploy", generation=5, **app)).status_code == 200
    async with Visitors(agent) as visitors:
        for generation in (6, 7):
            answer = await agent.post("deploy", generation=generation, **app)
            assert answer.status_code == 200, answer.text

        async def alone() -> bool:
            return visitors.answers > 500 and not signposts(podman, agent)

        await eventually(alone, seconds=60)
    assert visitors.failures == []


async def test_failing_candidate_is_met_by_nobody(agent: Agent, podman: Podman) -> None:
    """Its labels are Traefik's to read from its start, and its answers are 500."""
    assert (await agent.deploy(5)).status_code == 200
    async with Visitors(agent) as visitors:
        answer = await agent.deploy(6, "broken", health={"path": "/", "timeoutSeconds": 2})
        assert answer.status_code >= 400, answer.text
        await eventually(lambda: visitors.answers > 200, seconds=60)
    assert visitors.failures == []
    assert (await agent.status())["generation"] == 5


async def test_deploy_over_an_older_agents_container_is_never_away(agent: Agent, podman: Podman) -> None:
    base, router = f"/runtime/{agent.app}", f"traefik.http.routers.rt-app-{agent.app}"
    old = {
        "traefik.enable": "true",
        f"{router}.rule": f"PathPrefix(`{base}`)",
        f"{router}.middlewares": f"rt-mw-{agent.app}",
        f"traefik.http.middlewares.rt-mw-{agent.app}.stripprefix.prefixes": base,
        f"traefik.http.services.rt-svc-{agent.app}.loadbalancer.server.port": "80",
    }
    labels = [word for name, value in old.items() for word in ("--label", f"{name}={value}")]
    podman.cli("run", "--detach", "--name", f"rt-u-1-{agent.app}", *labels, image("port80"))

    async def served() -> bool:
        return (await agent.get()).status_code == 200

    await eventually(served, what="Traefik serves the older container")
    async with Visitors(agent) as visitors:
        for generation in (5, 6):
            answer = await agent.deploy(generation)
            assert answer.status_code == 200, answer.text
            assert answer.json()["verified"] is True
        await eventually(lambda: visitors.answers > 300, seconds=60)
    assert visitors.failures == []
    assert (await agent.post("stop")).status_code == 200
    answer = await agent.post("start")
    assert answer.status_code == 200, answer.text
    assert (await agent.get()).text == "web\n"
