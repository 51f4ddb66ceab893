"""This machine's own MongoDB as a container of the engine: made, kept, supervised, copied, and refused with a reason."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from funai.standalone.layout import Layout, Secrets, load_secrets
from funai.standalone.parts import mongo
from funai.standalone.parts.engine import EngineChoice, silent
from funai.standalone.upkeep import mongodumps
from scripts.ferretdb import binary
from tests.parts.extent import only_in_full
from tests.parts.mongo_image import mongo_image
from tests.parts.waiting import eventually

pytestmark = [
    only_in_full,  # its defaults, words and backup are in every run: tests/{pure,service}/standalone
    # pymongo drops sockets of a server that was killed under it, without closing them.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(
        binary() is None or os.geteuid() != 0, reason="needs root, and FerretDB in place of the image: `make setup-test`"
    ),
]
NAME = f"localhost/funai-test-{os.getpid()}/mongo:7"


@pytest.fixture(scope="module")
def image(machine_engine: EngineChoice) -> Iterator[str]:
    with mongo_image(machine_engine, NAME) as name:
        yield name


def engine_says(engine: EngineChoice, *words: str) -> str:
    env = {**os.environ, **engine.environment}
    return subprocess.run([engine.binary, *words], env=env, capture_output=True, text=True, check=True, timeout=60).stdout


@pytest.fixture
async def wanted(machine_engine: EngineChoice, image: str) -> AsyncIterator[mongo.Wanted]:
    made = mongo.Wanted(image, 512 << 20, f"t{os.getpid()}")
    yield made
    engine_says(machine_engine, "rm", "--force", "--volumes", "--ignore", made.container, f"{made.container}-setup")


@pytest.fixture
def secrets(tmp_path: Path) -> tuple[Layout, Secrets]:
    layout = Layout(tmp_path / "data")
    layout.make()
    return layout, load_secrets(layout.secrets_file)[0]


async def notes(url: str) -> list[str]:
    async with AsyncMongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=2000) as client:
        return [d["text"] async for d in client["db_u1_a1"].notes.find()]


async def test_mongo_container_keeps_data_over_a_restart_a_kill_and_another_limit(
    machine_engine: EngineChoice, wanted: mongo.Wanted, secrets: tuple[Layout, Secrets]
) -> None:
    layout, kept = secrets
    password = kept.mongo.get_secret_value()
    async with AsyncExitStack() as life:
        url = await mongo.start(machine_engine, layout, kept, wanted, life, silent)
        async with AsyncMongoClient[dict[str, Any]](url) as client:
            await client["db_u1_a1"].notes.insert_one({"text": "kept"})
        with pytest.raises(OperationFailure):
            await notes(url.replace(password, "guessed"))
        about = engine_says(machine_engine, "inspect", wanted.container)
        assert password not in about and "PASSWORD" not in about
        assert not (layout.mongo / "setup").exists()
        engine_says(machine_engine, "kill", wanted.container)
        assert await eventually(lambda: _readable(url), what="the container to be started again") == ["kept"]
        attached = int((await asyncio.to_thread((layout.run / "mongo.json").read_text)).split('"pid": ')[1].split(",")[0])
        os.kill(attached, signal.SIGKILL)
        assert await eventually(lambda: _attached_again(layout, attached), what="the engine to be asked again")
        assert await eventually(lambda: _readable(url), what="the server to be there still") == ["kept"]
    assert "running" not in engine_says(machine_engine, "inspect", "--format", "{{.State.Status}}", wanted.container)
    async with AsyncExitStack() as life:
        larger = mongo.Wanted(wanted.image, 600 << 20, wanted.instance)
        assert await mongo.start(machine_engine, layout, kept, larger, life, silent) == url
        assert await notes(url) == ["kept"]
        memory = engine_says(machine_engine, "inspect", "--format", "{{.HostConfig.Memory}}", wanted.container)
        assert int(memory) == 600 << 20
        await _copied(layout, kept, url)
    assert password not in "".join(f.read_text(errors="replace") for d in (layout.log, layout.run) for f in d.glob("*.*"))


async def _copied(layout: Layout, kept: Secrets, url: str) -> None:
    """What a backup of the running server has comes back where it is lost."""
    folder = layout.mongo / mongodumps.FOLDER
    folder.mkdir()
    dumps = await mongodumps.take(layout, kept, folder)
    assert dumps is not None and [d.name for d in dumps] == ["db_u1_a1.dump"]
    async with AsyncMongoClient[dict[str, Any]](url) as client:
        await client.drop_database("db_u1_a1")
    assert await mongodumps.bring_back(layout, url) == 1
    assert await notes(url) == ["kept"]
    assert await mongodumps.bring_back(layout, url) == 0


async def _readable(url: str) -> list[str] | None:
    return await notes(url) if await mongo.answers(url) else None


async def _attached_again(layout: Layout, before: int) -> bool:
    return f'"pid": {before},' not in (layout.run / "mongo.json").read_text()


@pytest.mark.parametrize(
    ("entry", "said"),
    [(None, "can't be pulled"), ("#!/bin/sh\necho no such option >&2\nexit 132\n", "no such option")],
    ids=["unreachable", "refuses"],
)
async def test_mongo_container_that_does_not_start_says_why_and_leaves_nothing(
    machine_engine: EngineChoice, secrets: tuple[Layout, Secrets], entry: str | None, said: str
) -> None:
    layout, kept = secrets
    async with AsyncExitStack() as life:
        name = "127.0.0.1:1/no/mongo:7"
        if entry:
            name = life.enter_context(mongo_image(machine_engine, f"localhost/funai-test-{os.getpid()}/broken:7", entry))
        wanted = mongo.Wanted(name, 512 << 20, f"b{os.getpid()}")
        with pytest.raises(mongo.NoMongo, match=said):
            await mongo.start(machine_engine, layout, kept, wanted, life, silent)
        assert not (layout.mongo / "made").exists()
        assert wanted.container not in engine_says(machine_engine, "ps", "--all", "--format", "{{.Names}}")
