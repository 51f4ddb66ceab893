"""The driver's answers to an engine that dies, moves or refuses in the middle of a call: a scripted one on a unix socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from funai.agent.engine import client
from funai.agent.engine.contract import EngineRefused, EngineUnreachable, NoSuchContainer, PullFailed
from funai.agent.engine.docker_api import DockerEngine

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
IMAGE = "registry.test/app:1"


@asynccontextmanager
async def engine_that(folder: Path, handler: Handler) -> AsyncIterator[DockerEngine]:
    """A driver on a socket whose every request goes to ``handler``, but for its version."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/version" or request.path.endswith("/version"):
            return web.json_response({"ApiVersion": "1.41", "Components": [{"Name": "Engine"}]})
        return await handler(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "engine.sock")).start()
    driver = DockerEngine(str(folder / "engine.sock"))
    try:
        yield driver
    finally:
        await driver.close()
        await runner.cleanup()


def refusal(status: int, words: str) -> web.Response:
    return web.json_response({"message": words}, status=status)


async def begun(request: web.Request, text: bytes) -> web.StreamResponse:
    """An answer of which only the beginning arrives: the engine's process is gone."""
    answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": "4000"})
    await answer.prepare(request)
    await answer.write(text)
    assert request.transport is not None
    request.transport.abort()
    return answer


async def test_a_list_that_missed_a_container_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "AGAIN", {"tries": 3, "first": 0.0, "longest": 0.0})
    answers = [refusal(404, "no such container"), refusal(500, "it moves"), web.json_response([])]

    async def handler(_: web.Request) -> web.StreamResponse:
        return answers.pop(0)

    async with engine_that(tmp_path, handler) as engine:
        assert await engine.containers({}) == []
    assert not answers


async def test_a_list_that_moves_for_ever_is_the_engines_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "AGAIN", {"tries": 1, "first": 0.0, "longest": 0.0})

    async def handler(_: web.Request) -> web.StreamResponse:
        return refusal(404, "no such container")

    async with engine_that(tmp_path, handler) as engine:
        with pytest.raises(EngineRefused) as caught:
            await engine.containers({})
    assert not isinstance(caught.value, NoSuchContainer)


@pytest.mark.parametrize("text", [b"", b'{"status":"pulling"}\n', b'{"status":"pul'])
async def test_an_engine_that_dies_in_a_pull_is_unreachable(tmp_path: Path, text: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/images/create"):
            return await begun(request, text)
        return refusal(404, "no such image")

    async with engine_that(tmp_path, handler) as engine:
        with pytest.raises(EngineUnreachable):
            await engine.pull(IMAGE, None)


async def test_a_pull_that_is_refused_in_its_stream_failed(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"status":"pulling"}\n{"error":"manifest unknown"}\n', content_type="application/json")

    async with engine_that(tmp_path, handler) as engine:
        with pytest.raises(PullFailed, match="manifest unknown"):
            await engine.pull(IMAGE, None)


@pytest.mark.parametrize("text", [b"", b'{"Id": "ab'])
async def test_an_answer_that_breaks_off_is_an_engine_that_is_away(tmp_path: Path, text: bytes) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return await begun(request, text)

    async with engine_that(tmp_path, handler) as engine:
        for call in (engine.inspect("a"), engine.networks(), engine.next_exit("a")):
            with pytest.raises(EngineUnreachable):
                await call


async def test_an_answer_of_another_kind_is_no_crash(tmp_path: Path) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>a proxy's page</html>", content_type="text/html")

    async with engine_that(tmp_path, handler) as engine:
        for call in (engine.inspect("a"), engine.containers({}), engine.image(IMAGE), engine.info()):
            with pytest.raises(EngineUnreachable):
                await call


def shown(status: str, *, code: int, restarts: int) -> dict[str, Any]:
    """What ``inspect`` answers, however often it is asked."""
    state = {"Status": status, "ExitCode": code, "Pid": 0}
    return {"Id": "a", "Name": "/a", "State": state, "RestartCount": restarts, "Config": {}}


async def test_the_zero_of_a_container_that_was_started_again_is_not_its_exit_code(tmp_path: Path) -> None:
    waits, look = iter([0, 0, 100]), shown("running", code=0, restarts=1)

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"StatusCode": next(waits)} if request.path.endswith("/wait") else look)

    async with engine_that(tmp_path, handler) as engine:
        assert await engine.next_exit("a") == 100


@pytest.mark.parametrize(
    ("look", "code"),
    [
        (shown("exited", code=0, restarts=0), 0),
        (shown("running", code=0, restarts=0), 0),
        (shown("exited", code=0, restarts=1), 0),
        (shown("restarting", code=100, restarts=1), 100),
        (shown("exited", code=100, restarts=5), 100),
    ],
)
async def test_a_container_that_waits_to_be_started_again_shows_its_exit_code(
    tmp_path: Path, look: dict[str, Any], code: int
) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"StatusCode": 0} if request.path.endswith("/wait") else look)

    async with engine_that(tmp_path, handler) as engine:
        assert await engine.next_exit("a") == code


async def test_a_cancelled_call_closes_its_connection(tmp_path: Path) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def handler(_: web.Request) -> web.StreamResponse:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            gone.set()
        raise AssertionError

    async with engine_that(tmp_path, handler) as engine:
        call = asyncio.create_task(engine.stop("a", 5))
        await arrived.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(60):
            await gone.wait()
