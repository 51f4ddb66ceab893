"""Gateways on real HAProxy, each with its own ports and folder, ended after the test."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from funai.contracts.routes import Route
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.settings import GatewaySettings
from tests.e2e.gateway.upstream import Upstream, running
from tests.parts.waiting import eventually, free_port
from tests.parts.workspace import drop_workspace, new_workspace

SettingsFor = Callable[..., GatewaySettings]
StartGateway = Callable[..., Awaitable[HaproxyGateway]]
StartUpstream = Callable[..., Awaitable[Upstream]]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where a test's gateways live; no proxy of it outlives the test, whatever became of the test."""
    path = new_workspace("gateway")
    yield path
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if b"haproxy" in (argv := cmdline.read_bytes()) and str(path).encode() + b"/" in argv:
                os.kill(int(cmdline.parent.name), signal.SIGKILL)
    drop_workspace(path)


@pytest.fixture
def settings_for(folder: Path) -> SettingsFor:
    """``settings_for(field=value)``: settings of one gateway; repeated calls give the same folder and port."""
    port = free_port()

    def make(**fields: Any) -> GatewaySettings:
        return GatewaySettings(**{"host": "127.0.0.1", "port": port, "data_dir": folder / "gw", **fields})

    return make


@pytest.fixture
async def start_gateway(settings_for: SettingsFor) -> AsyncIterator[StartGateway]:
    """``await start_gateway(routes, field=value)``: a started gateway; all are stopped at the end."""
    started: list[HaproxyGateway] = []

    async def start(routes: list[Route] | None = None, **fields: Any) -> HaproxyGateway:
        gateway = HaproxyGateway(settings_for(**fields))
        started.append(gateway)
        await gateway.start(routes)
        return gateway

    yield start
    for gateway in started[:-1]:
        await gateway.close()
    for gateway in started[-1:]:
        if not gateway.pid:
            await gateway.close()
            gateway = HaproxyGateway(gateway.settings)
            await gateway.start()
        await gateway.stop(0)


@pytest.fixture
async def upstream() -> AsyncIterator[StartUpstream]:
    """``await upstream("a")``: a small app on a free port."""
    async with AsyncExitStack() as stack:

        async def start(name: str, **where: Any) -> Upstream:
            return await stack.enter_async_context(running(name, **where))

        yield start


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=10) as http:
        yield http


def route_to(app_id: int, upstream: Upstream, generation: int = 1) -> Route:
    return Route(app_id, host="127.0.0.1", port=upstream.port, generation=generation)


async def in_flight(gateway: HaproxyGateway, upstream: Upstream, count: int) -> None:
    """Wait until so many requests are in flight to it."""

    async def reached() -> bool:
        return await gateway.connections("127.0.0.1", upstream.port) == count

    await eventually(reached, what=f"{count} requests in flight to {upstream.name}")
