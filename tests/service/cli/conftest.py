"""One platform for a file's tests, and for each test somebody new in an empty folder."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
import structlog

from funai.base.observability import log
from tests.service.cli.world import World


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("platform")
    with quiet(folder / "platform.log"), World(folder).running() as running:
        yield running


@contextmanager
def quiet(file: Path) -> Iterator[None]:
    """The platform runs in this process: its log must not get between the command line's own words."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    with file.open("w") as out:
        log.configure("platform", stream=out)
        try:
            yield
        finally:
            root.handlers[:] = handlers
            root.setLevel(level)
            structlog.reset_defaults()
            structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="module")
def numbers() -> Iterator[int]:
    return count(1)


@pytest.fixture
def world(shared_world: World, numbers: Iterator[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Nobody is logged in."""
    shared_world.move_to(tmp_path, f"ann{next(numbers)}")
    monkeypatch.chdir(tmp_path / "work")
    yield shared_world
    shared_world.now(shared_world.calm())


@pytest.fixture
def ann(world: World) -> World:
    """Somebody is logged in."""
    world.register(world.user)
    return world
