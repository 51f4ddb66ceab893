"""Bodies and streams: uploads, server-sent events, WebSocket, keep-alive, and how many are in flight."""

from __future__ import annotations

import asyncio
import base64
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import httpx

from funai.contracts.routes import Route
from funai.gateway.haproxy.driver import HaproxyGateway
from tests.e2e.gateway.conftest import StartGateway, StartUpstream, in_flight, route_to

UPLOAD = 200 * 1024 * 1024


async def open_websocket(gateway: HaproxyGateway, app_id: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /runtime/{app_id}/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101")
    return reader, writer


async def test_a_websocket_outlives_its_route(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    old, new = await upstream("old"), await upstream("new")
    gateway = await start_gateway([route_to(1, old)])
    reader, writer = await open_websocket(gateway, 1)
    frame = b"\x81\x85\0\0\0\0hello"
    writer.write(frame)
    assert await reader.readexactly(len(frame) + 5) == b"echo:" + frame
    await in_flight(gateway, old, 1)
    await gateway.put(route_to(1, new, generation=2))
    assert await gateway.connections("127.0.0.1", old.port) == 1
    assert await gateway.connections("127.0.0.1", new.port) == 0
    writer.write(frame)
    assert await reader.readexactly(len(frame) + 5) == b"echo:" + frame
    writer.close()
    await in_flight(gateway, old, 0)


async def test_events_arrive_one_by_one(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    seen: list[str] = []
    async with client.stream("GET", f"{gateway.url}/runtime/1/sse") as response:
        async for line in response.aiter_lines():
            if line:
                seen.append(line)
                assert await gateway.connections("127.0.0.1", app.port) == 1
                app.release.set()
    assert seen == ["data: 0", "data: 1", "data: 2"]


async def test_a_large_upload_streams_through(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    before = _resident(gateway.pid)

    async def body() -> AsyncIterator[bytes]:
        piece = bytes(1024 * 1024)
        for _ in range(UPLOAD // len(piece)):
            yield piece

    url = f"{gateway.url}/runtime/1/upload"
    declared = await client.post(url, content=body(), headers={"Content-Length": str(UPLOAD)})
    assert declared.json() == UPLOAD
    assert _resident(gateway.pid) - before < 20 * 1024 * 1024
    chunked = await client.put(url, content=_some(body(), 5))
    assert chunked.json() == 5 * 1024 * 1024


async def _some(source: AsyncIterator[bytes], count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield await anext(source)


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


async def test_connections_are_kept_on_both_sides(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    for _ in range(20):
        assert (await client.get(f"{gateway.url}/runtime/1/")).status_code == 200
    assert app.connections == 1


async def test_an_upstream_that_closes_idle_connections_is_not_the_clients_business(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    """The answer's connection is gone when the next request wants it: that one gets a fresh connection."""
    app = await upstream("1")
    app.answers["/last"] = ("200 OK", ["Connection: close"], b"")
    gateway = await start_gateway([route_to(1, app)])
    for path in ("", "last", "", "last", ""):
        assert (await client.get(f"{gateway.url}/runtime/1/{path}")).status_code == 200


async def test_an_upstream_on_ipv6_or_by_name(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    six, named = await upstream("six", host="::1"), await upstream("named")
    gateway = await start_gateway()
    await gateway.put(Route(6, host="::1", port=six.port))
    await gateway.put(Route(7, host="localhost", port=named.port))
    assert (await client.get(f"{gateway.url}/runtime/6/")).json()["app"] == "six"
    assert (await client.get(f"{gateway.url}/runtime/7/")).json()["app"] == "named"
    assert await gateway.connections("::1", six.port) == 0


async def test_half_an_answer_is_not_passed_off_as_whole(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    try:
        answer = await client.get(f"{gateway.url}/runtime/1/half")
    except httpx.RemoteProtocolError:
        return
    assert answer.status_code == 502
