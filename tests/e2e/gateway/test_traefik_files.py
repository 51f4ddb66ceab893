"""The file driver end to end, with a door that reads the folder as Traefik's manual says (Traefik itself isn't at hand)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from funai.contracts.routes import GatewayError, Route, RouteState
from funai.gateway.main import open_gateway
from funai.gateway.settings import Driver, GatewaySettings
from funai.gateway.traefik.drivers import TraefikFileGateway, TraefikLabelsGateway
from tests.e2e.gateway.conftest import StartUpstream, route_to
from tests.parts.waiting import eventually, free_port
from tests.pure.gateway.traefik_rules import Asked, decide, merged


class Door:
    """Answers by what the folder says at each request; ``blind`` ignores changes, as a Traefik that doesn't watch."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.blind = folder, False
        self.asked: list[str] = []
        self._config: dict[str, object] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.split("\r\n")
        target = first.split(" ")[1]
        headers = tuple((k, v.strip()) for k, _, v in (line.partition(":") for line in lines if line))
        path, _, query = target.partition("?")
        self.asked.append(path)
        if not self.blind:
            self._config = merged(*(json.loads(f.read_text()) for f in sorted(self.folder.glob("*.yml"))))
        decided = decide(self._config, Asked(path, dict(headers).get("Host", "h"), headers, query), 3)
        if decided is None:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\nConnection: close\r\n\r\n404 page not found\n")
        elif decided.redirect:
            writer.write(f"HTTP/1.1 308 x\r\nLocation: {decided.redirect}\r\nContent-Length: 0\r\n\r\n".encode())
        else:
            url: str = self._config["http"]["services"][decided.service]["loadBalancer"]["servers"][0]["url"]  # type: ignore[index]
            async with httpx.AsyncClient(trust_env=False) as http:
                passed = {k: v for k, v in headers if k.lower() not in ("host", "connection")}
                got = await http.get(url + decided.path, headers=passed)
            extra = "".join(f"{k}: {v}\r\n" for k, v in decided.headers.items())
            answer = f"HTTP/1.1 {got.status_code} x\r\n{extra}Content-Length: {len(got.content)}\r\nConnection: close\r\n\r\n"
            writer.write(answer.encode() + got.content)
        await writer.drain()
        writer.close()


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[tuple[Door, int]]:
    made = Door(tmp_path / "dynamic")
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    yield made, server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def gateway(door: tuple[Door, int], tmp_path: Path) -> AsyncIterator[TraefikFileGateway]:
    settings = GatewaySettings(
        driver=Driver.TRAEFIK_FILE,
        traefik_dir=door[0].folder,
        data_dir=tmp_path / "gw",
        public_url=f"http://127.0.0.1:{door[1]}/",
        pages_port=0,
        traefik_settle_seconds=2,
    )
    made = open_gateway(settings)
    assert isinstance(made, TraefikFileGateway)
    await made.start()
    yield made
    await made.close()


async def test_routes_come_change_and_go(
    gateway: TraefikFileGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    one, ten = await upstream("1"), await upstream("10")
    await gateway.put(route_to(1, one, generation=5))
    await gateway.put(route_to(10, ten, generation=6))
    said = (await client.get(f"{gateway.url}/runtime/10/x")).json()
    assert (said["app"], said["target"]) == ("10", "/x")
    assert "x-funai-probe" not in dict(said["headers"])
    assert await gateway.serving_generation(1, "/", timeout=5) == (200, 5)
    assert (await client.get(f"{gateway.url}/runtime/1?q")).headers["location"] == f"{gateway.url}/runtime/1/?q"
    await gateway.put(Route(1, RouteState.STOPPED))
    page = await client.get(f"{gateway.url}/runtime/1/x", headers={"Accept": "application/json"})
    assert (page.status_code, page.json()["reason"]) == (503, "APP_STOPPED")
    assert await gateway.serving_generation(1, "/", timeout=5) == (503, 0)
    for _ in range(2):
        await gateway.remove(1)
    assert (await client.get(f"{gateway.url}/runtime/1/x")).status_code == 404
    await gateway.replace_all([route_to(2, ten, generation=9)])
    assert await gateway.serving_generation(2, "/", timeout=5) == (200, 9)
    assert (await client.get(f"{gateway.url}/runtime/10/")).status_code == 404
    assert await gateway.connections("127.0.0.1", ten.port) is None


async def test_a_switch_that_does_not_show_is_taken_back(
    gateway: TraefikFileGateway, door: tuple[Door, int], upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    old, new = await upstream("old"), await upstream("new")
    await gateway.put(route_to(1, old, generation=1))
    door[0].blind = True
    with pytest.raises(GatewayError, match="does not show generation 2 of app 1"):
        await gateway.put(route_to(1, new, generation=2))
    with pytest.raises(GatewayError):
        await gateway.put(route_to(7, new, generation=2))
    door[0].blind = False
    assert (await client.get(f"{gateway.url}/runtime/1/")).json()["app"] == "old"
    assert (await client.get(f"{gateway.url}/runtime/7/")).status_code == 404


async def test_put_waits_for_a_slow_traefik(
    gateway: TraefikFileGateway, door: tuple[Door, int], upstream: StartUpstream
) -> None:
    app = await upstream("1")
    gateway.settings = gateway.settings.model_copy(update={"traefik_settle_seconds": 60})
    await gateway.put(route_to(1, app, generation=1))
    door[0].blind = True
    put = asyncio.create_task(gateway.put(route_to(1, app, generation=2)))
    seen = len(door[0].asked)
    await eventually(lambda: len(door[0].asked) > seen + 1, what="it asks more than once")
    assert not put.done()
    door[0].blind = False
    await put


async def test_put_asks_traefik_and_not_the_app_which_may_be_slow(
    gateway: TraefikFileGateway, door: tuple[Door, int], upstream: StartUpstream
) -> None:
    app = await upstream("1")
    await gateway.put(route_to(1, app, generation=1))
    assert app.requests == []
    assert door[0].asked[-1] == "/runtime/1/.funai-shown"


async def test_a_way_back_through_a_dead_door_is_taken_without_its_answer(
    gateway: TraefikFileGateway, door: tuple[Door, int], upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    old, new = await upstream("old"), await upstream("new")
    for generation, app in ((1, old), (2, new)):
        await gateway.put(route_to(1, app, generation=generation))
    door[0].blind = True
    await gateway.put(route_to(1, old, generation=1))
    door[0].blind = False
    assert (await client.get(f"{gateway.url}/runtime/1/")).json()["app"] == "old", "the file says so, whoever reads it"


async def test_a_folder_that_traefik_does_not_watch_is_told_at_the_start(
    door: tuple[Door, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = open_gateway(
        GatewaySettings(
            driver=Driver.TRAEFIK_FILE,
            traefik_dir=tmp_path / "elsewhere",
            data_dir=tmp_path / "gw",
            public_url=f"http://127.0.0.1:{door[1]}/",
            pages_port=0,
            traefik_settle_seconds=0.2,
        )
    )
    await made.start()
    said = ""

    async def told() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return "gateway.traefik-dir" in said and "gateway.traefik-version" in said

    await eventually(told, what="the settings are named")
    await made.close()


async def test_files_outlive_the_owner_and_foreign_ones_are_left_alone(
    gateway: TraefikFileGateway, door: tuple[Door, int], upstream: StartUpstream
) -> None:
    app = await upstream("1")
    mine = door[0].folder / "mine.yml"
    mine.write_text('{"http": {}}')
    await gateway.put(route_to(1, app, generation=3))
    await gateway.close()
    again = TraefikFileGateway(gateway.settings)
    await again.start()
    assert await again.serving_generation(1, "/", timeout=5) == (200, 3)
    await again.replace_all([])
    assert sorted(f.name for f in door[0].folder.iterdir()) == ["mine.yml", "rt-common.yml"]
    await again.close()


async def test_labels_leave_the_switch_to_traefik(upstream: StartUpstream) -> None:
    app = await upstream("1")
    settings = GatewaySettings(driver=Driver.TRAEFIK_LABELS, public_url=f"http://127.0.0.1:{app.port}")
    made = open_gateway(settings)
    assert isinstance(made, TraefikLabelsGateway)
    await made.start([])
    await made.put(route_to(1, app, generation=4))
    assert await made.serving_generation(1, "/x", timeout=5) == (503, 0), "Traefik has not read the container's labels"
    app.answers["/runtime/1/.funai-shown/4"] = ("302 Found", ["Location: /runtime/1/.funai-shown/4/here"], b"")
    assert await made.serving_generation(1, "/x", timeout=5) == (200, 4)
    assert app.requests[-1].target == "/runtime/1/x"
    app.answers["/runtime/1/gone"] = ("404 Not Found", ["Content-Type: text/plain"], b"404 page not found\n")
    app.answers["/runtime/1/mine"] = ("404 Not Found", ["Content-Type: text/plain"], b"my own page")
    assert await made.serving_generation(1, "/gone", timeout=5) == (404, 0)
    assert await made.serving_generation(1, "/mine", timeout=5) == (404, 4)
    assert await made.serving_generation(2, "/", timeout=5) == (200, 0)
    await made.close()


async def test_an_unreachable_door_is_an_error() -> None:
    made = TraefikLabelsGateway(GatewaySettings(driver=Driver.TRAEFIK_LABELS, public_url=f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(GatewayError, match="did not answer"):
        await made.serving_generation(1, "/", timeout=1)
    await made.close()
