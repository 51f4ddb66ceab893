"""What browsers, scripts and frameworks really send: large heads, raw bytes, odd methods, clients that leave."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from funai.contracts.routes import Route
from funai.gateway.haproxy.driver import HaproxyGateway
from tests.e2e.gateway.conftest import StartGateway, StartUpstream, in_flight, route_to
from tests.e2e.gateway.upstream import Upstream
from tests.parts.waiting import eventually

JSON = {"Accept": "application/json"}


async def raw(gateway: HaproxyGateway, request: bytes) -> bytes:
    """Send these bytes, and read until the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    writer.write(request)
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ([f"Set-Cookie: session.{n}={'x' * 3_900}; Path=/; HttpOnly" for n in range(3)], 302),
        ([f"Set-Cookie: c{n}=1" for n in range(101)], 302),
        (["Link: " + "x" * 10_000, "Set-Cookie: a=1"], 302),
        (["Link: " + "x" * 62_000, "Set-Cookie: a=1"], 302),
        ([f"X-{n}: 1" for n in range(900)], 302),
        (["Link: " + "x" * 90_000], 502),
        ([f"X-{n}: 1" for n in range(1_100)], 502),
    ],
)
async def test_heads_of_answers_are_served_to_64_kb_and_above_it_our_limit_is_named(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, head: list[str], status: int
) -> None:
    app = await upstream("1")
    app.answers["/"] = ("302 Found", ["Location: /home", *head], b"")
    gateway = await start_gateway([route_to(1, app)])
    answer = await client.get(f"{gateway.url}/runtime/1/")
    assert answer.status_code == status
    if status == 502:
        assert "64 KB" in answer.text
    else:
        assert len(answer.headers.get_list("set-cookie")) == sum(line.startswith("Set-Cookie") for line in head)


async def test_large_heads_of_requests_reach_the_app(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    sent = {"Cookie": "a=" + "x" * 60_000, **{f"X-{n}": "1" for n in range(200)}}
    said = (await client.get(f"{gateway.url}/runtime/1/", headers=sent)).json()
    assert dict(said["headers"])["cookie"] == sent["Cookie"]
    assert dict(said["headers"])["x-199"] == "1"


async def test_raw_bytes_in_a_target_reach_the_app_as_they_are(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    for target in ("/文件.txt".encode(), "/e?q=中".encode(), "/e?q=中".encode("gbk"), b"/\xff\x80"):
        answer = await raw(gateway, b"GET /runtime/1" + target + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert app.requests[-1].target.encode("latin-1") == target


async def test_absolute_targets_reach_the_app_as_paths(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)], wildcard_domain="apps.localhost")
    for target, seen in {
        "http://h/runtime/1/a?b": "/a?b",
        "HTTP://H/runtime/1/a": "/a",
        "http://h:80/runtime/1//a": "//a",
        "https://h/runtime/1/?u=http://x/y": "/?u=http://x/y",
        "http://1.apps.localhost": "/",
        "http://1.apps.localhost?x=/runtime/2/y": "/?x=/runtime/2/y",
        "http://1.apps.localhost/?x": "/?x",
    }.items():
        host = target.split("/")[2].split("?")[0].removesuffix(":80")
        answer = await raw(gateway, f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200 "), (target, answer)
        assert app.requests[-1].target == seen


@pytest.mark.parametrize(
    "lines",
    [
        b"GET /runtime/1/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked",
        b"GET /runtime/1/ HTTP/1.1\r\nHost: h\r\nBad Name: x",
        b"GET /runtime/1/ HTTP/1.1\r\nHost: h\r\nB\x80d: x",
        b"GET /runtime/1/ HTTP/1.1\r\nHost: h\r\nHost: other",
        b"GET http://other/runtime/1/ HTTP/1.1\r\nHost: h",
        b"GET http://h@other/runtime/1/ HTTP/1.1\r\nHost: h",
        b"GET http:///runtime/1/ HTTP/1.1\r\nHost: h",
        b"GET runtime/1/ HTTP/1.1\r\nHost: h",
        b"CONNECT h:80 HTTP/1.1\r\nHost: h:80",
        b"GET /runtime/1/\x00 HTTP/1.1\r\nHost: h",
        b"GET /runtime/1/ HTTP/1.1\r\nHost: h\r\nX-A: 1\x00b",
        b"GET /runtime/1/ HTTP/1.1\r\nHost: h\r\nX-A: \x1b]0;title\x07",
        b"GET /runtime/1/ HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2",
    ],
)
async def test_what_else_is_no_request_is_refused(start_gateway: StartGateway, upstream: StartUpstream, lines: bytes) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    assert (await raw(gateway, lines + b"\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 400 ")
    assert not app.requests


@pytest.mark.parametrize("offer", ["h2c", "H2C, websocket", ""])
async def test_client_names_no_header_of_ours_and_no_other_protocol_for_the_next_hop(
    start_gateway: StartGateway, upstream: StartUpstream, offer: str
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    upgrade = f"Upgrade: {offer}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n" if offer else ""
    head = f"POST /runtime/1/ HTTP/1.1\r\nHost: h\r\nConnection: close, Upgrade, X-Forwarded-For, X-Trace-Id\r\n{upgrade}"
    assert (await raw(gateway, f"{head}Content-Length: 2\r\n\r\nok".encode())).startswith(b"HTTP/1.1 200 ")
    got = app.requests[0]
    assert [got.header(name) for name in ("connection", "upgrade", "http2-settings")] == [None, None, None]
    assert got.header("x-forwarded-for") == "127.0.0.1" and got.header("x-trace-id")


async def test_access_log_has_every_method_by_its_name(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    methods = ["GET", "PATCH", "PROPFIND", "QUERY", "MKCOL", "LOCK", "OPTIONS", "DELETE"]
    for method in methods:
        await client.request(method, f"{gateway.url}/runtime/1/x")
    log = gateway.settings.data_dir / "access.log"
    await eventually(lambda: log.exists() and log.read_text().count("\n") == len(methods), what="the lines are written")
    assert [json.loads(line)["method"] for line in log.read_text().splitlines()] == methods
    assert [r.method for r in app.requests] == methods


async def cut(app: Upstream, gateway: HaproxyGateway, accept: str, route: Route | None) -> httpx.Response:
    """A request that is under way while the app's route becomes ``route``, and whose connection its container then cuts."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http, asyncio.TaskGroup() as group:
        asked = group.create_task(http.post(f"{gateway.url}/runtime/1/hold-and-cut", headers={"Accept": accept}))
        await eventually(lambda: any(r.target == "/hold-and-cut" for r in app.requests), what="it is in flight")
        if route is not None:
            await gateway.put(route)
        app.release.set()
    return asked.result()


async def test_request_of_a_replaced_generation_is_told_so(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    old, new = await upstream("old"), await upstream("new")
    gateway = await start_gateway([route_to(1, old, generation=1)])
    for accept in ("application/json", "text/html"):
        old.requests.clear()
        old.release.clear()
        await gateway.put(route_to(1, old, generation=1))
        answer = await cut(old, gateway, accept, route_to(1, new, generation=2))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "APP_REPLACED" in answer.text
        trace = answer.headers["x-trace-id"]
        assert (f"traceId {trace}<" in answer.text) is (accept == "text/html") and trace in answer.text
    answer = await cut(new, gateway, "application/json", None)
    assert (answer.status_code, answer.json()["reason"]) == (502, "APP_UNREACHABLE")
    assert "retry-after" not in answer.headers


async def test_two_apps_that_never_answer_take_neither_the_gateway_nor_other_apps(
    start_gateway: StartGateway, upstream: StartUpstream
) -> None:
    bad, worse, good = await upstream("1"), await upstream("2"), await upstream("3")
    routes = [
        Route(n, host="127.0.0.1", port=app.port, generation=1, user_id=user)
        for n, app, user in ((1, bad, 5), (2, worse, 5), (3, good, 6))
    ]
    gateway = await start_gateway(routes, max_connections=200)
    writers: list[asyncio.StreamWriter] = []
    for n in range(200):
        _, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
        writer.write(f"GET /runtime/{n % 2 + 1}/hold HTTP/1.1\r\nHost: h\r\n\r\n".encode())
        writers.append(writer)
    await eventually(lambda: len(bad.requests) + len(worse.requests) >= 66, what="a third of the places is taken")
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        assert (await http.get(f"{gateway.url}/internal/health")).json() == {"ok": True}
        assert (await http.get(f"{gateway.url}/runtime/3/")).json()["app"] == "3"
        refused = await http.get(f"{gateway.url}/runtime/1/x", headers=JSON)
        assert (refused.status_code, refused.json()["reason"], refused.headers["connection"]) == (503, "APP_BUSY", "close")
        assert (await gateway.serving_generation(3, "/", timeout=5)) == (200, 1)
    assert len(bad.requests) + len(worse.requests) == 66
    for writer in writers:
        writer.close()
    await in_flight(gateway, bad, 0)
    await in_flight(gateway, worse, 0)


async def test_one_source_is_bounded_and_other_apps_of_one_user_share(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app, other = await upstream("1"), await upstream("2")
    routes = [Route(n, host="127.0.0.1", port=a.port, generation=1, user_id=5) for n, a in ((1, app), (2, other))]
    gateway = await start_gateway(routes, user_max_inflight=2, source_max_connections=4)
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http, asyncio.TaskGroup() as group:
        held = [group.create_task(http.get(f"{gateway.url}/runtime/{n}/hold")) for n in (1, 2)]
        await in_flight(gateway, app, 1)
        await in_flight(gateway, other, 1)
        busy = await client.get(f"{gateway.url}/runtime/2/x", headers=JSON)
        assert (busy.status_code, busy.json()["reason"]) == (503, "APP_BUSY")
        app.release.set()
        other.release.set()
    assert [t.result().status_code for t in held] == [200, 200]

    async def answer() -> tuple[int, str | None]:
        given = await client.get(f"{gateway.url}/runtime/2/x", headers=JSON)
        return given.status_code, given.json().get("reason")

    async def crowded() -> bool:  # what the kernel has accepted HAProxy counts a moment later
        return await answer() == (503, "GATEWAY_BUSY")

    async def served() -> bool:
        return (await answer())[0] == 200

    streams = [await asyncio.open_connection("127.0.0.1", gateway.settings.port) for _ in range(5)]
    try:
        await eventually(crowded, what="the source has too many connections")
    finally:
        for _, writer in streams:
            writer.close()
    await eventually(served, what="the source's connections are given back")


async def test_app_that_keeps_its_prefix_sees_it_in_both_forms(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    app.answers["/runtime/1/"] = ("308 Permanent Redirect", ["Location: /runtime/1"], b"")
    route = Route(1, host="127.0.0.1", port=app.port, generation=1, strip_prefix=False)
    gateway = await start_gateway([route], wildcard_domain="apps.localhost")
    for target in ("/runtime/1", "/runtime/1/a?b"):
        said = (await client.get(f"{gateway.url}{target}")).json()
        assert said["target"] == target
        assert dict(said["headers"])["x-forwarded-prefix"] == "/runtime/1"
    kept = {
        "a=1": "; Path=/runtime/1",
        "a=1; Path=/; HttpOnly": "; Path=/runtime/1; HttpOnly",
        "a=1; Path=/b": "; Path=/runtime/1/b",
    }
    for given, expected in kept.items():
        app.answers["/runtime/1/set"] = ("200 OK", [f"Set-Cookie: {given}"], b"")
        assert (await client.get(f"{gateway.url}/runtime/1/set")).headers["set-cookie"] == f"a=1{expected}"
    followed = await client.get(f"{gateway.url}/runtime/1/", follow_redirects=True)
    assert followed.json()["target"] == "/runtime/1"
    own = {"Host": f"1.apps.localhost:{gateway.settings.port}"}
    assert (await client.get(f"{gateway.url}/", headers=own)).headers["location"] == "/runtime/1/"
    assert (await client.get(f"{gateway.url}/runtime/1/a", headers=own)).json()["target"] == "/runtime/1/a"


async def test_early_answer_of_an_app_that_reads_on_arrives_and_the_connection_goes_on(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    for _ in range(3):
        answer = await client.post(f"{gateway.url}/runtime/1/early", content=b"x" * 4_000_000)
        assert (answer.status_code, answer.text) == (413, "too large")
