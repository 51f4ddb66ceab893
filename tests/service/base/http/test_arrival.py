"""A request that stops arriving loses its connection; an application may take its time to read and to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fastapi import Request
from starlette.responses import StreamingResponse

from funai.base.aio import bind, serving
from funai.base.http.app import create_app
from funai.base.http.arrival import ArrivalProtocol

DEADLINE = 0.8
SIZE = 150_000
POST = f"POST /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {SIZE}\r\n\r\n".encode()
CHUNKED = b"POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def longer() -> None:
    """Return when a deadline has long passed."""
    passed = asyncio.Event()
    asyncio.get_running_loop().call_later(2 * DEADLINE, passed.set)
    await passed.wait()


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(ArrivalProtocol, "head_seconds", DEADLINE)
    monkeypatch.setattr(ArrivalProtocol, "body_seconds", DEADLINE)
    app = create_app("slow")

    @app.post("/slow")
    async def slow(request: Request) -> dict[str, int]:  # pyright: ignore[reportUnusedFunction]
        await longer()
        size = len(await request.body())
        await longer()
        return {"bytes": size}

    async with serving(app, bind("127.0.0.1", 0), grace=0) as at:
        yield at


async def exchange(port: int, sent: bytes) -> bytes:
    """Send this, then read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("sent", [b"", b"G", POST[:-2], POST, POST + b"abc", CHUNKED + b"5\r\nab"])
async def test_a_request_that_stops_arriving_is_closed(port: int, sent: bytes) -> None:
    assert b" 200 " not in await exchange(port, sent)


async def test_a_body_that_the_application_reads_late_is_read(port: int) -> None:
    answer = await exchange(port, POST + bytes(SIZE))
    assert answer.startswith(b"HTTP/1.1 200 ") and str(SIZE).encode() in answer


async def test_a_second_request_that_stops_arriving_is_closed(port: int) -> None:
    whole = POST.replace(b"Connection: close\r\n", b"").replace(str(SIZE).encode(), b"1") + b"x"
    assert (await exchange(port, whole + POST)).count(b" 200 ") == 1


async def test_an_answer_that_its_client_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArrivalProtocol, "read_seconds", DEADLINE)
    app, ended = create_app("endless"), asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(100_000)
                await asyncio.sleep(0)
        finally:
            ended.set()

    @app.get("/endless")
    async def answer() -> StreamingResponse:  # pyright: ignore[reportUnusedFunction]
        return StreamingResponse(endless())

    async with serving(app, bind("127.0.0.1", 0), grace=0) as at:
        reader, writer = await asyncio.open_connection("127.0.0.1", at)
        writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(60):
            await ended.wait()
        writer.close()
        assert not reader.at_eof()
