"""An offer of another protocol may be ignored; the request that carries it is served (RFC 9110, section 7.8)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator

import pytest
from fastapi import Request

from funai.base.aio import bind, serving
from funai.base.http.app import create_app

HEAD = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
OFFERS = {
    "jdk": "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\nUpgrade: h2c\r\n",
    "websocket": "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    "list": "Connection: keep-alive, upgrade\r\nUpgrade: TLS/1.2, h2c\r\n",
    "none": "",
}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    app = create_app("echo")

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, int]:  # pyright: ignore[reportUnusedFunction]
        return {"bytes": len(await request.body())}

    async with serving(app, bind("127.0.0.1", 0), grace=1) as at:
        yield at


async def answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length:"))
    return head.split("\r\n")[0], await reader.readexactly(length)


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("chunked", [False, True])
async def test_post_that_offers_an_upgrade_keeps_its_body_and_its_connection(port: int, offer: str, chunked: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for size in (0, 10, 200_000):
        body = b"x" * size
        framing = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {size}\r\n"
        writer.write(f"{HEAD}{OFFERS[offer]}{framing}\r\n".encode())
        await writer.drain()
        if chunked:
            body = (f"{size:x}\r\n".encode() + body + b"\r\n" if size else b"") + b"0\r\n\r\n"
        writer.write(body)
        await writer.drain()
        assert await answer(reader) == ("HTTP/1.1 200 OK", b'{"bytes":%d}' % size)
    writer.close()
    await writer.wait_closed()


async def test_post_of_curl_with_http2_is_served(port: int) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not on PATH")
    asked = await asyncio.create_subprocess_exec(
        curl,
        "--silent",
        "--http2",
        "--noproxy",
        "*",
        "--data",
        "twelve bytes",
        f"http://127.0.0.1:{port}/echo",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asked.communicate()
    assert out == b'{"bytes":12}'
