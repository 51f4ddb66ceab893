"""Engines to test against, and agents on them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from funai.runtime.engine.contract import Engine
from funai.runtime.engine.docker_api import DockerEngine
from funai.runtime.engine.dummy import DummyEngine, Script
from tests.e2e.runtime import images
from tests.parts.docker import DockerEngine as DockerPart
from tests.parts.podman import Podman


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


@pytest.fixture
def instance() -> str:
    """A platform of the test's own on a shared engine."""
    return "t" + secrets.token_hex(4)
