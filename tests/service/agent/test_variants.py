"""Containers that show, by how they fail, how they should have been made: the next try is made so."""

from __future__ import annotations

from funai.agent.engine.contract import FileHead
from funai.agent.engine.dummy import DummyEngine, Script
from tests.service.agent.agent import SCRIPTS, WEB, World, world

S6, CRLF = "localhost/s6:1", "localhost/crlf:1"
UNRUN = Script(
    listens=False,
    exits_after=0,
    exit_code=1,
    command=("/start.sh",),
    output=b"ERROR (catatonit:6): failed to exec pid1\n",
    files={"/start.sh": FileHead("/start.sh", 0o755, b"#!/bin/sh\r\n")},
)


def creations(here: World) -> int:
    return here.engine.calls.count("create")


async def test_an_image_that_must_be_process_1_is_started_without_the_engines_init() -> None:
    async with world(DummyEngine(local={**SCRIPTS, S6: Script(needs_pid_1=True)})) as here:
        answer = await here.deploy(5, S6)
        assert answer.status_code == 200, answer.text
        assert creations(here) == 2
        assert await here.names() == ["rt-u-1-7"]


async def test_an_image_with_an_init_of_its_own_is_started_so_at_once() -> None:
    async with world(DummyEngine(local={**SCRIPTS, S6: Script(needs_pid_1=True, command=("/init", "node"))})) as here:
        assert (await here.deploy(5, S6)).status_code == 200
        assert creations(here) == 1


async def test_an_app_that_only_speaks_of_process_1_fails_with_its_own_words() -> None:
    script = Script(listens=False, exits_after=0, exit_code=1, output=b"pid 1 is not what I want\n")
    async with world(DummyEngine(local={**SCRIPTS, S6: script})) as here:
        answer = await here.deploy(5, S6)
        assert answer.json()["detail"]["code"] == "APP_EXITED"
        assert creations(here) == 2
        assert await here.names() == []


async def test_the_file_that_could_not_be_executed_is_named() -> None:
    async with world(DummyEngine(local={**SCRIPTS, CRLF: UNRUN})) as here:
        detail = (await here.deploy(5, CRLF)).json()["detail"]
        assert detail["code"] == "APP_EXITED"
        assert "exit status 1): /start.sh: its first line ends in CR (Windows line ends); save it with LF" in detail["message"]


async def test_a_network_removed_by_hand_is_made_anew_in_the_same_try() -> None:
    async with world() as here:
        await here.deploy(5)
        await here.post("stop")
        for box in await here.engine.containers({}):
            await here.engine.remove(box.id)
        await here.engine.remove_network("rt-net-7")
        answer = await here.deploy(6)
        assert answer.status_code == 200, answer.text


async def test_an_address_that_the_engine_counts_as_taken_is_passed_over() -> None:
    async with world(DummyEngine(rootless=False)) as here:
        here.engine.local[WEB] = Script()
        await here.deploy(5)
        (first,) = await here.engine.containers({})
        head, _, last = first.labels["funai.address"].rpartition(".")
        leaked = f"{head}.{int(last) + 1}"
        here.engine.local[WEB] = Script(refuses_address=leaked)
        answer = await here.deploy(6)
        assert answer.status_code == 200, answer.text
        newest = max(await here.engine.containers({}), key=lambda c: int(c.labels["funai.generation"]))
        assert newest.labels["funai.address"] == f"{head}.{int(last) + 2}"
