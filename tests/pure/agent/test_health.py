"""Probing an app that means to be a nuisance."""

from __future__ import annotations

import asyncio

import pytest

from funai.agent.rollout.health import Verdict, until_healthy


@pytest.mark.parametrize(("first", "then"), [(b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n")])
async def test_a_head_that_never_ends_is_given_up(first: bytes, then: bytes) -> None:
    over: list[asyncio.Task[None] | None] = []

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over.append(asyncio.current_task())
        writer.write(first)
        while not writer.is_closing():
            writer.write(then)
            await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.timeout(60), server:
        probed = await until_healthy("127.0.0.1", port, "/", timeout=0.2, interval=0.05, exited=exited)
        await asyncio.gather(*(task for task in over if task))
    assert probed.verdict is Verdict.UNHEALTHY
    assert "no answer within 0.2 s" in probed.detail


HTTP2_SETTINGS = bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("greeting", "verdict"), [(HTTP2_SETTINGS, Verdict.HTTP2), (b"220 mail.example\r\n", Verdict.UNHEALTHY)]
)
async def test_until_healthy_of_a_server_of_another_protocol_tells_http2_at_once(greeting: bytes, verdict: Verdict) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = int(server.sockets[0].getsockname()[1])
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with server:
        timeout = 600 if verdict is Verdict.HTTP2 else 0.2
        probed = await until_healthy("127.0.0.1", port, "/", timeout=timeout, interval=0.05, exited=exited)
    assert probed.verdict is verdict
