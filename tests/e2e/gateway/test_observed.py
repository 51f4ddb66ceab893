"""The access log and the counters."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from funai.contracts.routes import Route, RouteState
from funai.gateway.haproxy.driver import HaproxyGateway
from tests.e2e.gateway.conftest import SettingsFor, StartGateway, StartUpstream, route_to
from tests.e2e.gateway.load import load_on
from tests.e2e.gateway.test_routing import raw
from tests.parts.waiting import eventually


def lines_of(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def test_each_request_is_a_line_and_is_counted(
    settings_for: SettingsFor, upstream: StartUpstream, client: httpx.AsyncClient, folder: Path
) -> None:
    app = await upstream("1")
    registry = CollectorRegistry()
    gateway = HaproxyGateway(settings_for(), registry)
    await gateway.start([route_to(1, app, generation=6), Route(2, RouteState.STOPPED)])
    try:
        await client.post(f"{gateway.url}/runtime/1/up/%E4%BD%A0?token=hidden", content=b"x" * 1000)
        await client.get(f"{gateway.url}/runtime/2/")
        await client.get(f"{gateway.url}/runtime/77/")
        await gateway.serving_generation(1, "/", timeout=5)
        file = folder / "gw" / "access.log"
        await eventually(lambda: len(lines_of(file)) == 3, what="three lines")
        served, stopped, unknown = lines_of(file)
        assert served["appId"] == 1
        assert served["path"] == "/runtime/1/up/%E4%BD%A0"
        assert (served["status"], served["method"], served["generation"]) == (200, "POST", "6")
        assert served["bytesIn"] > 1000
        assert served["bytesOut"] > 100
        assert (served["client"], served["protocol"]) == ("127.0.0.1", "HTTP/1.1")
        assert served["upstream"] == f"127.0.0.1/{app.port}"
        assert abs((datetime.now(UTC) - datetime.fromisoformat(served["time"])).total_seconds()) < 120
        assert served["traceId"] == dict(app.requests[0].headers)["x-trace-id"]
        assert "hidden" not in file.read_text()
        assert (stopped["appId"], stopped["status"], stopped["upstream"]) == (2, 503, "-")
        assert (unknown["appId"], unknown["status"]) == (None, 404)
        count = lambda name, **labels: registry.get_sample_value(name, labels)  # noqa: E731
        assert count("funai_gateway_requests_total", app="1", status="2xx") == 1
        assert count("funai_gateway_requests_total", app="2", status="5xx") == 1
        assert count("funai_gateway_requests_total", app="none", status="4xx") == 1
        assert (count("funai_gateway_received_bytes_total", app="1") or 0) > 1000
        assert count("funai_gateway_request_seconds_count") == 3
        assert count("funai_gateway_proxy_starts_total", cause="first") == 1
        await gateway.remove(1)
        assert count("funai_gateway_requests_total", app="1", status="2xx") is None
    finally:
        await gateway.stop(0)


async def test_a_hostile_path_stays_inside_its_string(
    start_gateway: StartGateway, upstream: StartUpstream, folder: Path
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    paths = [
        '/runtime/1/","status":200,"x":"',
        "/runtime/1/\\u0041\\",
        "/runtime/1/|}",
        "/runtime/1/" + '"' * 3000,
        "/runtime/1/%s%d%[src]",
    ]
    statuses = [(await raw(gateway, path))[0] for path in paths]
    file = folder / "gw" / "access.log"
    await eventually(lambda: len(lines_of(file)) == len(paths), what="a line each")
    for path, status, line in zip(paths, statuses, lines_of(file), strict=True):
        assert line["status"] == status
        assert line["path"] == path[:400]
        assert (line["method"], line["protocol"]) == ("GET", "HTTP/1.1")


async def test_the_log_is_rotated_and_bounded(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, folder: Path
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)], access_log_max_bytes=4096, access_log_keep=2)
    for _ in range(120):
        await client.get(f"{gateway.url}/runtime/1/")
    oldest = folder / "gw" / "access.log.2"
    await eventually(oldest.exists, what="two rotations")
    files = sorted((folder / "gw").glob("access.log*"))
    assert [f.name for f in files] == ["access.log", "access.log.1", "access.log.2"]
    for file in files:
        assert file.stat().st_size <= 4096
        assert all(line["appId"] == 1 for line in lines_of(file))


async def test_lines_wait_while_nobody_owns_the_proxy(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, folder: Path
) -> None:
    app = await upstream("1")
    first = await start_gateway([route_to(1, app)])
    await first.close()
    url = f"{first.url}/runtime/1/"
    for n in range(200):
        assert (await client.get(f"{url}{n}")).status_code == 200
    second = await start_gateway()
    file = folder / "gw" / "access.log"
    await eventually(lambda: len(lines_of(file)) == 200, what="the lines of the time between")
    assert [line["path"] for line in lines_of(file)] == [f"/runtime/1/{n}" for n in range(200)]
    assert second.adopted


async def test_a_full_log_pipe_stops_no_request(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    await gateway.close()
    async with load_on(f"{gateway.url}/runtime/1/", app) as load:
        await load.goes_on(1000)
