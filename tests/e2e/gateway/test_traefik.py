"""The file driver with Traefik itself, where one is on PATH; in ``test_traefik_files`` a door reads as its manual says."""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from funai.contracts.routes import Route, RouteState
from funai.gateway.main import open_gateway
from funai.gateway.settings import Driver, GatewaySettings
from funai.gateway.traefik.drivers import TraefikFileGateway
from tests.e2e.gateway.conftest import StartUpstream, route_to
from tests.parts.daemon import Daemon
from tests.parts.programs import on_path
from tests.parts.waiting import free_port


def major(program: str) -> int:
    """2 or 3, which write the header matcher differently."""
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"^Version:\s+v?(\d+)\.", said, re.MULTILINE)
    assert found, said
    return int(found[1])


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[TraefikFileGateway]:
    program, folder, port = on_path("traefik"), tmp_path / "dynamic", free_port()
    folder.mkdir()
    words = (
        program,
        f"--entryPoints.web.address=127.0.0.1:{port}",
        f"--providers.file.directory={folder}",
        "--providers.file.watch=true",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
        "--log.level=ERROR",
    )

    def listens() -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    traefik = Daemon("traefik", words, log=tmp_path / "traefik.log", ready=listens)
    traefik.start()
    made = open_gateway(
        GatewaySettings(
            driver=Driver.TRAEFIK_FILE,
            traefik_dir=folder,
            traefik_version=major(program),
            data_dir=tmp_path / "gw",
            public_url=f"http://127.0.0.1:{port}/",
            pages_port=0,
        )
    )
    assert isinstance(made, TraefikFileGateway)
    await made.start()
    yield made
    await made.close()
    traefik.kill()


async def test_traefik_itself_serves_switches_without_a_lost_request_and_forgets(
    gateway: TraefikFileGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    old, new = await upstream("old"), await upstream("new")
    await gateway.put(route_to(1, old, generation=1))
    assert (await client.get(f"{gateway.url}/runtime/1/x?q=1")).json()["app"] == "old"
    statuses: list[int] = []
    over = asyncio.Event()

    async def visit() -> None:
        while not over.is_set():
            statuses.append((await client.get(f"{gateway.url}/runtime/1/")).status_code)

    visitors = [asyncio.create_task(visit()) for _ in range(4)]
    for generation, app in ((2, new), (3, old), (4, new)):
        await gateway.put(route_to(1, app, generation=generation))
    over.set()
    await asyncio.gather(*visitors)
    assert set(statuses) == {200}
    assert (await client.get(f"{gateway.url}/runtime/1/")).json()["app"] == "new"
    assert await gateway.serving_generation(1, "/", timeout=30) == (200, 4)
    assert (await client.get(f"{gateway.url}/runtime/10/")).status_code == 404, "app 1 does not answer for app 10"
    await gateway.put(Route(1, RouteState.STOPPED))
    assert (await client.get(f"{gateway.url}/runtime/1/")).status_code == 503
    await gateway.remove(1)
    assert (await client.get(f"{gateway.url}/runtime/1/")).status_code == 404
