"""One edge before two nodes' gateways, following a real Deploy: HAProxy before HAProxy."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.clients.deploy import EdgeDeployClient
from funai.contracts.routes import Route
from funai.deploy.placement import store
from funai.gateway.edge.follower import Follower
from funai.gateway.edge.main import TABLE_FILE
from funai.gateway.edge.settings import EdgeSettings
from funai.gateway.edge.shown import HaproxyEdge
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.settings import GatewaySettings
from tests.e2e.gateway.conftest import StartUpstream, route_to
from tests.e2e.gateway.upstream import Upstream
from tests.parts.waiting import eventually, free_port
from tests.service.deploy.plane import Calls, Plane
from tests.service.deploy.queue.kit import Deploy, deploying

TOKEN = "s3cret-edge"


class Line(httpx.AsyncBaseTransport):
    """The way to Deploy; it can be cut, with the calls that are open."""

    def __init__(self, deploy: Deploy) -> None:
        self._way = httpx.ASGITransport(app=deploy.app, raise_app_exceptions=False)
        self.up, self._cut = asyncio.Event(), asyncio.Event()
        self.up.set()

    def cut(self) -> None:
        self.up.clear()
        self._cut.set()
        self._cut = asyncio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.up.is_set():
            raise httpx.ConnectError("cut", request=request)
        cut = asyncio.create_task(self._cut.wait())
        call = asyncio.create_task(self._way.handle_async_request(request))
        try:
            await asyncio.wait({cut, call}, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return call.result()
            raise httpx.ReadError("cut", request=request)
        finally:
            for task in (cut, call):
                task.cancel()
            await asyncio.gather(cut, call, return_exceptions=True)


@dataclass
class Edge:
    """An edge of this process, and the plane whose placements it follows."""

    edge: EdgeSettings
    settings: GatewaySettings
    line: Line
    plane: Plane
    shown: HaproxyEdge = field(init=False)
    follower: Follower = field(init=False)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.shown = HaproxyEdge(self.edge, self.settings, CollectorRegistry())
        client = EdgeDeployClient("http://deploy", TOKEN, http=self.line)
        self.follower = Follower([client], self.shown, self.settings.data_dir / TABLE_FILE)
        await self.follower.start()
        self._stop = asyncio.Event()
        self._running = asyncio.create_task(self.follower.run(self._stop))

    async def end(self) -> None:
        """The process ends; its HAProxy serves on."""
        running, self._running = self._running, None
        if running is None:
            return
        self._stop.set()
        await running
        await self.shown.close()
        await self.follower.close()

    async def move(self, app_id: int, node_id: int) -> None:
        async def work(conn: AsyncConnection) -> None:
            if not await store.settle(conn, app_id, node_id, 1, 1):
                await store.move(conn, app_id, node_id, 1)

        await self.plane.db.retrying(work)

    @property
    def url(self) -> str:
        return self.shown.gateway.url


@asynccontextmanager
async def nodes(folder: Path, *routes: list[Route]) -> AsyncIterator[list[HaproxyGateway]]:
    """Gateways of nodes that trust the edge."""
    started: list[HaproxyGateway] = []
    try:
        for n, table in enumerate(routes):
            settings = GatewaySettings(
                host="127.0.0.1",
                port=free_port(),
                data_dir=folder / f"n{n}",
                trusted_proxies=["127.0.0.1"],
                wildcard_domain="apps.example.com",
            )
            started.append(HaproxyGateway(settings))
            await started[-1].start(table)
        yield started
    finally:
        for gateway in started:
            await gateway.stop(0)


@pytest.fixture
async def edge(folder: Path, sqlite_url: str) -> AsyncIterator[Edge]:
    """Not started yet; its proxy is killed with the folder's others."""
    async with deploying(sqlite_url, edge_secret=TOKEN) as deploy:
        settings = GatewaySettings(
            host="127.0.0.1",
            port=free_port(),
            https_port=free_port(),
            https_redirect=False,
            data_dir=folder / "edge",
            wildcard_domain="apps.example.com",
        )
        own = EdgeSettings(deploy_base_urls=["http://deploy"], token=SecretStr(TOKEN))
        made = Edge(own, settings, Line(deploy), Plane(deploy.core.db, Calls(), deploy.core.heartbeats.rules))
        yield made
        await made.end()


async def app_of(client: httpx.AsyncClient, url: str, **headers: str) -> str:
    """Which app answered, or the reason of a page of the gateway's own."""
    answer = await client.get(url, headers={"Accept": "application/json", **headers})
    return str(answer.json().get("app", answer.json().get("reason")))


async def test_edge_routes_to_both_nodes_rewrites_once_and_says_truly_who_asks(
    edge: Edge, folder: Path, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    a, b = await upstream("a"), await upstream("b")
    a.answers["/login"] = ("302 Found", ["Location: /in", "Set-Cookie: s=1; Path=/"], b"")
    async with nodes(folder, [route_to(7, a)], [route_to(8, b)]) as (n1, n2):
        first = await edge.plane.beat("n1", upstreamUrl=n1.url)
        second = await edge.plane.beat("n2", upstreamUrl=n2.url)
        await edge.move(7, first)
        await edge.move(8, second)
        await edge.start()

        async def follows() -> bool:
            return await app_of(client, f"{edge.url}/runtime/7/") == "a"

        await eventually(follows, what="the edge has Deploy's routes")
        assert await app_of(client, f"{edge.url}/", host="8.apps.example.com") == "b"

        https = f"https://127.0.0.1:{edge.settings.https_port}"
        lies = {
            "X-Forwarded-For": "6.6.6.6",
            "X-Forwarded-Proto": "ftp",
            "X-Forwarded-Host": "evil",
            "Forwarded": "for=6.6.6.6",
        }
        seen = (await client.get(f"{https}/runtime/7/x?y=1", headers=lies)).json()
        headers = dict(seen["headers"])
        assert seen["target"] == "/x?y=1" and "forwarded" not in headers
        assert headers["x-forwarded-proto"] == "https"
        assert headers["x-forwarded-host"] == f"127.0.0.1:{edge.settings.https_port}"
        assert headers["x-forwarded-for"] == "127.0.0.1, 127.0.0.1" and headers["x-forwarded-prefix"] == "/runtime/7"

        login = await client.get(f"{https}/runtime/7/login")
        assert login.headers["location"] == "/runtime/7/in"
        assert login.headers.get_list("set-cookie") == ["s=1; Path=/runtime/7/"]
        stray = await client.get(f"{edge.url}/a.js", headers={"Referer": f"{edge.url}/runtime/7/"})
        assert (stray.status_code, stray.headers["location"]) == (307, "/runtime/7/a.js")
        await _talks(edge.settings.https_port, b)
        upload = await client.post(f"{https}/runtime/8/upload", content=b"x" * 300_000)
        assert upload.text == "300000"
        assert await app_of(client, f"{edge.url}/runtime/9/") == "APP_NOT_FOUND"
        await n2.stop(0)
        away = await client.get(f"{edge.url}/runtime/8/", headers={"Accept": "application/json", "Accept-Language": "en"})
        assert (away.status_code, away.json()["reason"]) == (503, "NODE_AWAY") and "node" in away.json()["message"]
        assert "节点" in (await client.get(f"{edge.url}/runtime/8/")).text


async def _talks(https_port: int, app: Upstream) -> None:
    """A WebSocket through TLS, edge and node."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", https_port, ssl=trusting)
    writer.write(
        b"GET /runtime/8/ws HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101"), app.name
    frame = b"\x81\x85\0\0\0\0hello"
    writer.write(frame)
    assert await reader.readexactly(len(frame) + 5) == b"echo:" + frame
    writer.close()
    await writer.wait_closed()


async def test_edge_follows_a_move_and_serves_on_without_deploy_and_after_its_own_end(
    edge: Edge, folder: Path, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    old, new = await upstream("old"), await upstream("new")
    async with nodes(folder, [route_to(7, old)], [route_to(7, new)]) as (n1, n2):
        first = await edge.plane.beat("n1", upstreamUrl=n1.url)
        second = await edge.plane.beat("n2", upstreamUrl=n2.url)
        await edge.move(7, first)
        await edge.start()

        async def serves(name: str) -> bool:
            return await app_of(client, f"{edge.url}/runtime/7/") == name

        await eventually(lambda: serves("old"), what="the edge has Deploy's routes")
        await edge.move(7, second)
        await eventually(lambda: serves("new"), what="the edge follows the move")
        await edge.move(7, first)
        await eventually(lambda: serves("old"), what="the edge follows the move back")

        edge.line.cut()
        await eventually(lambda: not edge.follower.reached, what="the edge misses Deploy")
        await edge.move(7, second)
        assert await serves("old")
        before = edge.shown.gateway.pid
        await edge.end()
        assert await serves("old")
        await edge.start()
        assert edge.shown.gateway.adopted and edge.shown.gateway.pid == before and await serves("old")

        await edge.end()
        os.kill(edge.shown.gateway.pid or before, signal.SIGKILL)
        await edge.start()
        assert not edge.follower.reached and await serves("old")
        edge.line.up.set()
        await eventually(lambda: serves("new"), what="the edge catches up with what it missed")
