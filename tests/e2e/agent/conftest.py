"""Engines to test against, and agents on them."""

from __future__ import annotations

import asyncio
import functools
import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from funai.agent.engine.contract import Engine
from funai.agent.engine.docker_api import DockerEngine
from funai.agent.engine.dummy import DummyEngine, Script
from funai.agent.network.firewall import Firewall, Rules
from funai.agent.network.networks import bridge_prefix, network_name, platform_tag
from funai.agent.workload.containers import labels
from tests.e2e.agent import images
from tests.e2e.agent.agent import Agent, Process, visiting
from tests.parts.docker import DockerEngine as DockerPart
from tests.parts.podman import Podman
from tests.parts.workspace import drop_workspace, new_workspace


@pytest.fixture(scope="session")
def podman_socket(podman: Podman, engine_socket: Path, workspace: Callable[[str], Path]) -> Path:
    """Podman's API, with the test images in its store."""
    images.import_all(podman.choice.binary, podman.env, workspace("images"))
    return engine_socket


@pytest.fixture(scope="session")
def docker_socket(docker_engine: DockerPart, workspace: Callable[[str], Path]) -> Path:
    """Docker's API, with the test images in its store."""
    images.import_all("docker", docker_engine.env_for_cli, workspace("images"))
    return docker_engine.socket


_apps = itertools.count(701)
SCRIPTS = {
    images.image("web"): Script(),
    images.image("exits"): Script(listens=False, exits_after=0.05, exit_code=3, output=b"about to fail\nno such module\n"),
    images.image("idle"): Script(listens=False),
}


@pytest.fixture(params=["dummy", "podman", "docker"])
def engine_at(request: pytest.FixtureRequest) -> Path | None:
    """The engine's socket; None is the dummy. Apart from ``engine``, as the parts may not start inside an event loop."""
    return None if request.param == "dummy" else request.getfixturevalue(f"{request.param}_socket")


@pytest.fixture
async def engine(engine_at: Path | None) -> AsyncIterator[Engine]:
    """Runs the test on the dummy, on real Podman and on real Docker."""
    driver: Engine = DockerEngine(str(engine_at)) if engine_at else DummyEngine(local=SCRIPTS)
    yield driver
    await driver.close()


def new_instance() -> str:
    return "t" + secrets.token_hex(4)


@pytest.fixture
def instance() -> str:
    """A platform of the test's own on a shared engine."""
    return new_instance()


NewAgent = Callable[..., Process]


@pytest.fixture(scope="package")
def new_agent(podman: Podman, podman_socket: Path) -> Iterator[NewAgent]:
    """``new_agent(field=value)``: a started agent process on Podman with a HAProxy of its own, ended with the folder."""
    with _agents_on(podman_socket, podman.choice.environment) as start:
        yield start


@pytest.fixture(scope="package")
def new_docker_agent(docker_engine: DockerPart, docker_socket: Path) -> Iterator[NewAgent]:
    """The same on Docker."""
    with _agents_on(docker_socket, docker_engine.choice.environment) as start:
        yield start


@contextmanager
def _agents_on(socket: Path, env: Mapping[str, str]) -> Iterator[NewAgent]:
    made: list[Process] = []

    def start(*, instance: str | None = None, gateway: dict[str, Any] | None = None, **settings: Any) -> Process:
        name = new_instance() if instance is None else instance
        process = Process(socket, new_workspace("agent"), name, env, settings, gateway or {})
        made.append(process)
        process.start()
        return process

    yield start
    for process in made:
        process.stop()
        asyncio.run(_sweep_out(process))
        drop_workspace(process.folder)


@pytest.fixture(scope="package")
def agents(request: pytest.FixtureRequest) -> Callable[[str], Process]:
    """The session's agent on this engine, started at its first use."""
    starters = {"podman": "new_agent", "docker": "new_docker_agent"}
    return functools.cache(lambda engine: request.getfixturevalue(starters[engine])())


@pytest.fixture
def agent_process(request: pytest.FixtureRequest, agents: Callable[[str], Process]) -> Process:
    """On Podman; tests marked ``on_both_engines`` run on Docker too."""
    return agents(getattr(request, "param", "podman"))


@pytest.fixture
async def agent(agent_process: Process) -> AsyncIterator[Agent]:
    """The session's agent, with an app id of the test's own. A test that kills it must start it again."""
    async with visiting(agent_process, next(_apps)) as view:
        yield view


async def _sweep_out(process: Process) -> None:
    """Containers, networks and firewall of this platform."""
    driver = DockerEngine(str(process.socket))
    info = await driver.info()
    apps: set[int] = set()
    for box in await driver.containers({labels.INSTANCE: process.instance}):
        apps.add(labels.number(box, labels.APP_ID))
        await driver.remove(box.id)
    for app_id in apps:
        await driver.remove_network(network_name(app_id, process.instance))
    tag = platform_tag(process.instance, info.data_root)
    await Firewall(Rules(tag, bridge_prefix(tag), "10.208.0.0/13")).remove()
    await driver.close()
