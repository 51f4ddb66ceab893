"""One platform for the tests that leave it healthy; those that break it share another."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from funai.standalone.parts.engine import EngineChoice
from tests.e2e.up.world import Person, Platform

_names = itertools.count(1)


@pytest.fixture(scope="package")  # one that idles to the session's end costs a tenth of a processor
def up(machine_engine: EngineChoice) -> Iterator[Platform]:
    platform = Platform(Path(tempfile.mkdtemp(prefix="funai-e2e-")) / "data", machine_engine)
    try:
        platform.start()
        yield platform
    finally:
        platform.destroy()
        shutil.rmtree(platform.data_dir.parent, ignore_errors=True)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder whose path leaves room for a platform's sockets; pytest's own are too long below a worker of several."""
    folder = Path(tempfile.mkdtemp(prefix="funai-e2e-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def person(up: Platform) -> AsyncIterator[Person]:
    """A new user of the shared platform; their apps go at the end."""
    someone = await up.person(f"user-{next(_names)}")
    yield someone
    await _leave(someone)


@pytest.fixture(scope="module")
def breakable(machine_engine: EngineChoice) -> Iterator[Platform]:
    platform = Platform(Path(tempfile.mkdtemp(prefix="funai-e2e-")) / "data", machine_engine)
    try:
        yield platform
    finally:
        platform.destroy()
        shutil.rmtree(platform.data_dir.parent, ignore_errors=True)


@pytest.fixture
async def own_platform(breakable: Platform) -> Platform:
    """A platform that the test may break, and that runs whatever the test before it left; nobody has an app on it."""
    if not breakable.running:
        await asyncio.to_thread(breakable.start)
    return breakable


async def _leave(someone: Person) -> None:
    for app in await someone.api.apps(someone.user_id):
        await someone.api.delete_app(someone.user_id, app.id)
    await someone.api.close()
