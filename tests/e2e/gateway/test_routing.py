"""What the public meets: paths, headers, pages."""

from __future__ import annotations

import asyncio
import json

import httpx

from funai.contracts.routes import Route, RouteState
from funai.gateway.haproxy.driver import HaproxyGateway
from tests.e2e.gateway.conftest import StartGateway, StartUpstream, in_flight, route_to
from tests.parts.waiting import free_port

JSON = {"Accept": "application/json"}


async def raw(gateway: HaproxyGateway, target: str, *headers: str, method: str = "GET") -> tuple[int, str, str]:
    """Ask for exactly this target, as no well-behaved client would; answers status, head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
    lines = [f"{method} {target} HTTP/1.1", "Host: h.example", "Connection: close", *headers, "", ""]
    writer.write("\r\n".join(lines).encode("latin-1"))
    async with asyncio.timeout(60):
        answer = (await reader.read()).decode("utf-8", "replace")
    writer.close()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split(" ")[1]), head, body


async def test_the_prefix_is_stripped_and_told(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("one")
    gateway = await start_gateway([route_to(1, app)])
    said = (await client.get(f"{gateway.url}/runtime/1/a//b/?q=%2F&r=1")).json()
    headers = dict(said["headers"])
    assert said["target"] == "/a//b/?q=%2F&r=1"
    assert headers["x-forwarded-prefix"] == "/runtime/1"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == headers["host"] == f"127.0.0.1:{gateway.settings.port}"
    assert (await client.get(f"{gateway.url}/runtime/1/")).json()["target"] == "/"


async def test_what_a_client_claims_about_itself_does_not_count(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("one")
    gateway = await start_gateway([route_to(1, app)])
    spoofed = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Prefix": "/evil",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Forwarded-Port": "1",
        "X-Trace-Id": "mine",
        "X-Funai-Probe": "guess",
        "Cookie": "a=1; funai_session=secret; b=2",
    }
    answer = await client.get(f"{gateway.url}/runtime/1/", headers=spoofed)
    headers = dict(answer.json()["headers"])
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == f"127.0.0.1:{gateway.settings.port}"
    assert headers["x-forwarded-prefix"] == "/runtime/1"
    assert headers["cookie"] == "a=1; b=2"
    assert headers["x-trace-id"] == answer.headers["x-trace-id"] != "mine"
    assert not {"forwarded", "x-forwarded-port", "x-funai-probe"} & headers.keys()
    assert "x-funai-generation" not in answer.headers


async def test_a_trusted_proxy_in_front_is_believed(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("one")
    gateway = await start_gateway([route_to(1, app)], trusted_proxies=["127.0.0.0/8"])
    given = {
        "X-Forwarded-For": "7.7.7.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "apps.example",
        "X-Real-IP": "7.7.7.7",
    }
    headers = dict((await client.get(f"{gateway.url}/runtime/1/", headers=given)).json()["headers"])
    assert headers["x-forwarded-for"] == "7.7.7.7, 127.0.0.1"
    assert headers["x-real-ip"] == "7.7.7.7"
    assert headers["x-forwarded-proto"] == "https"
    assert headers["x-forwarded-host"] == "apps.example"
    plain = dict((await client.get(f"{gateway.url}/runtime/1/")).json()["headers"])
    assert plain["x-forwarded-for"] == "127.0.0.1"
    assert plain["x-forwarded-proto"] == "http"


async def test_no_app_answers_for_a_sibling(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    one, ten, hundred = await upstream("1"), await upstream("10"), await upstream("100")
    gateway = await start_gateway([route_to(1, one), route_to(10, ten), route_to(100, hundred)])
    for _ in range(3):  # over one kept-alive connection
        for app_id in (1, 100, 10):
            assert (await client.get(f"{gateway.url}/runtime/{app_id}/x")).json()["app"] == str(app_id)
    assert (await client.get(f"{gateway.url}/runtime/1000/")).status_code == 404


TRICKS = {
    400: (
        "/runtime/1/../2/",
        "/runtime/1/..",
        "/runtime/1/%2e%2E/2/",
        "/runtime/1/.%2e/2/",
        "/runtime/1%2f..%2f2/",
        "/runtime/1/a%5c..%5c2",
        "/runtime/1/..\\2/",
        "/runtime/2\t/",
        "http://other.example/runtime/2/",
    ),
    404: (
        "//runtime/2/",
        "/runtime//2/",
        "/runtime/1%2f/",
        "/runtime/%32/",
        "/runtime/02/",
        "/runtime/+2/",
        "/runtime/2;x/",
        "/RUNTIME/2/",
        "/./runtime/2/",
        "/runtime/./2/",
        "/x/runtime/2/",
        "/runtime/",
        "/runtime",
        "/",
        "*",
        "/runtime/-1/",
        "/runtime/99999999999999999999999/",
        "http://h.example//runtime/2/",
    ),
}


async def test_no_trick_with_the_path_reaches_another_app(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    one, two = await upstream("1"), await upstream("2")
    gateway = await start_gateway([route_to(1, one), route_to(2, two)])
    for status, targets in TRICKS.items():
        for target in targets:
            got, _, _ = await raw(gateway, target, method="OPTIONS" if target == "*" else "GET")
            assert (target, got) == (target, status)
    assert not two.requests


async def test_odd_but_legal_paths_reach_the_app_unchanged(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    for path in (
        "/a%2Fb",
        "/..x/y..",
        "/%E4%BD%A0",
        "/a;b=1,2/'(x)'",
        "//double//",
        "/" + "long" * 1500,
        "/a%20b+c",
        "/...",
        "/a/.",
    ):
        status, _, body = await raw(gateway, f"/runtime/1{path}?..=../..&%2e%2e")
        assert (status, json.loads(body)["target"]) == (200, f"{path}?..=../..&%2e%2e")
    status, _, body = await raw(gateway, "http://h.example/runtime/1/abs?x=1")
    assert (status, json.loads(body)["target"]) == (200, "/abs?x=1")


async def test_the_base_path_without_a_slash_is_redirected_with_its_query(
    start_gateway: StartGateway, upstream: StartUpstream
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    for target, to in (
        ("/runtime/1", "/runtime/1/"),
        ("/runtime/1?a=%20b&c=/", "/runtime/1/?a=%20b&c=/"),
        ("/runtime/1?", "/runtime/1/"),
    ):
        for method in ("GET", "POST"):
            status, head, _ = await raw(gateway, target, method=method)
            assert status == 308
            assert f"location: {to}\r\n" in head + "\r\n"
    assert not app.requests
    assert (await raw(gateway, "/runtime/7"))[0] == 404


async def test_every_state_has_its_page_and_its_json(start_gateway: StartGateway, client: httpx.AsyncClient) -> None:
    routes = [
        Route(2, RouteState.STOPPED),
        Route(3, RouteState.STARTING),
        Route(4, host="127.0.0.1", port=free_port(), generation=5),
    ]
    gateway = await start_gateway(routes, retry_after_seconds=7)
    expected = {
        1: (404, "APP_NOT_FOUND", "no such app"),
        2: (503, "APP_STOPPED", "the app is stopped"),
        3: (503, "APP_STARTING", "the app is starting; one moment"),
        4: (502, "APP_UNREACHABLE", "the app does not answer"),
    }
    for app_id, (status, reason, english) in expected.items():
        url = f"{gateway.url}/runtime/{app_id}/x"
        page = await client.get(url, headers={"Accept": "text/html,*/*;q=0.8"})
        assert (page.status_code, page.headers["content-type"]) == (status, "text/html; charset=utf-8")
        assert page.headers["cache-control"] == "no-store"
        assert english in page.text
        assert reason in page.text
        assert page.headers["x-trace-id"] in page.text
        assert any("一" <= c <= "鿿" for c in page.text)
        answer = await client.get(url, headers={**JSON, "Accept-Language": "en-GB,en;q=0.9"})
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json; charset=utf-8")
        trace = answer.headers["x-trace-id"]
        assert answer.json() == {"code": status, "message": english, "reason": reason, "data": None, "traceId": trace}
        chinese = (await client.get(url, headers=JSON)).json()
        assert chinese["reason"] == reason
        assert chinese["message"] != english
        assert page.headers.get("retry-after") == ("7" if app_id == 3 else None)
        assert (await client.head(url)).content == b""


async def test_a_dead_or_mute_app_is_a_quick_answer(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    dead = Route(2, host="127.0.0.1", port=free_port())
    gateway = await start_gateway([route_to(1, app), dead], response_timeout=1)
    assert (await client.get(f"{gateway.url}/runtime/2/")).status_code == 502
    for method in ("GET", "POST"):
        status, _, body = await raw(gateway, "/runtime/1/cut", method=method)
        assert (status, "APP_UNREACHABLE" in body) == (502, True)
    assert [r.method for r in app.requests] == ["GET", "GET", "POST"]  # what changes something is not sent twice
    answer = await client.get(f"{gateway.url}/runtime/1/hold", headers=JSON)
    assert (answer.status_code, answer.json()["reason"]) == (504, "APP_TIMEOUT")
    assert len([r for r in app.requests if r.target == "/hold"]) == 1


async def test_an_app_says_503_itself(start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient) -> None:
    app = await upstream("1")
    app.answers["/busy"] = ("503 Busy", ["Content-Type: text/plain", "X-Funai-Generation: 99"], b"mine")
    gateway = await start_gateway([route_to(1, app, generation=4)])
    answer = await client.get(f"{gateway.url}/runtime/1/busy")
    assert (answer.status_code, answer.text) == (503, "mine")
    assert "x-funai-generation" not in answer.headers
    assert await gateway.serving_generation(1, "/busy", timeout=5) == (503, 4)


async def test_only_the_owner_learns_the_generation(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app, generation=4097), Route(2, RouteState.STARTING, generation=9)])
    assert await gateway.serving_generation(1, "/", timeout=5) == (200, 4097)
    assert await gateway.serving_generation(2, "/", timeout=5) == (503, 0)
    assert await gateway.serving_generation(3, "/health", timeout=5) == (404, 0)
    await gateway.put(Route(1, host="127.0.0.1", port=free_port(), generation=4098))
    assert await gateway.serving_generation(1, "/", timeout=5) == (502, 0)


async def test_every_app_may_have_a_name_of_its_own(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    one, twelve = await upstream("1"), await upstream("12")
    one.answers["/runtime/12/login"] = ("302 Found", ["Location: /home", "Set-Cookie: a=1; Domain=example.com; Path=/"], b"")
    gateway = await start_gateway([route_to(1, one), route_to(12, twelve)], wildcard_domain="apps.example.com")

    async def ask(host: str, target: str) -> tuple[int, str, str]:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.settings.port)
        writer.write(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return int(head.split(" ")[1]), head, body

    status, _, body = await ask("12.apps.example.com:8000", "/a?b")
    said = json.loads(body)
    assert (status, said["app"], said["target"]) == (200, "12", "/a?b")
    assert "x-forwarded-prefix" not in dict(said["headers"])
    assert dict(said["headers"])["x-forwarded-host"] == "12.apps.example.com:8000"
    assert json.loads((await ask("1.APPS.example.com", "/runtime/12/"))[2])["app"] == "1"
    _, head, _ = await ask("1.apps.example.com", "/runtime/12/login")
    assert "location: /home" in head
    assert "set-cookie: a=1; Path=/\r\n" in head + "\r\n"
    assert json.loads((await ask("anything.example", "/runtime/1/"))[2])["app"] == "1"
    for host in (
        "3.apps.example.com",
        "x.apps.example.com",
        "1.2.apps.example.com",
        "01.apps.example.com",
        "1.xapps.example.com",
    ):
        assert (await ask(host, "/"))[0] == 404
    assert (await ask("x.apps.example.com", "/runtime/1/"))[0] == 404


async def test_one_app_cannot_take_all_connections(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    hog, other = await upstream("1"), await upstream("2")
    gateway = await start_gateway([route_to(1, hog), route_to(2, other)], app_max_inflight=3)
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http, asyncio.TaskGroup() as group:
        held = [group.create_task(http.get(f"{gateway.url}/runtime/1/hold")) for _ in range(3)]
        await in_flight(gateway, hog, 3)
        refused = await http.get(f"{gateway.url}/runtime/1/x", headers=JSON)
        assert (refused.status_code, refused.json()["reason"]) == (503, "APP_BUSY")
        assert (await http.get(f"{gateway.url}/runtime/2/x")).status_code == 200
        hog.release.set()
    assert [t.result().status_code for t in held] == [200] * 3
    assert await gateway.connections("127.0.0.1", hog.port) == 0


async def test_the_gateway_says_that_it_lives(start_gateway: StartGateway, client: httpx.AsyncClient) -> None:
    gateway = await start_gateway([])
    answer = await client.get(f"{gateway.url}/internal/health")
    assert (answer.status_code, answer.json()) == (200, {"ok": True})
