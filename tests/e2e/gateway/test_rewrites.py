"""Cookies stay inside an app's path; redirects come back through the gateway."""

from __future__ import annotations

import httpx
import pytest

from funai.gateway.haproxy.rules.rewrites import REWRITABLE_COOKIES, REWRITABLE_HEAD
from tests.e2e.gateway.conftest import StartGateway, StartUpstream, route_to

COOKIES = {
    "a=1": "a=1; Path=/runtime/1/",
    "a=1; Path=/": "a=1; Path=/runtime/1/",
    "a=1; path = /x; HttpOnly": "a=1; path = /runtime/1/x; HttpOnly",
    "a=1; HttpOnly; PATH=/admin": "a=1; HttpOnly; PATH=/runtime/1/admin",
    "a=1; Path=/runtime/1": "a=1; Path=/runtime/1",
    "a=1; Path=/runtime/1/; Secure": "a=1; Path=/runtime/1/; Secure",
    "a=1; Path=/runtime/1/deep; SameSite=Lax": "a=1; Path=/runtime/1/deep; SameSite=Lax",
    "a=1; Path=/runtime/10": "a=1; Path=/runtime/1/runtime/10",
    "a=1; Path=/runtime/2/": "a=1; Path=/runtime/1/runtime/2/",
    "a=1; Path=": "a=1; Path=/runtime/1/",
    "a=1; Path=relative": "a=1; Path=/runtime/1/",
    'a=1; Path="/"': "a=1; Path=/runtime/1/",
    "a=1; Domain=example.com; Path=/; Secure": "a=1; Path=/runtime/1/; Secure",
    "a=1; Path=/; domain = .example.com": "a=1; Path=/runtime/1/",
    "a=1; Path=/; Path=/x; HttpOnly": "a=1; Path=/runtime/1/",
    "a=1; Path=/x; Domain=a; Path=/; Domain=b": "a=1; Path=/runtime/1/",
    "a=1; Domain=a; Domain=b; Secure": "a=1; Path=/runtime/1/",
    "/runtime/2|a=1; Path=/; Path=/": "/runtime/2|a=1; Path=/runtime/1/",
    "/runtime/2!a=1": "/runtime/2!a=1; Path=/runtime/1/",
    "a=path=/x": "a=path=/x; Path=/runtime/1/",
    "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT": "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Path=/runtime/1/",
    "a=%41\\1%[src]": "a=%41\\1%[src]; Path=/runtime/1/",
    "": "; Path=/runtime/1/",
}


async def test_cookies_are_confined_to_the_apps_path(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    app.answers["/all"] = ("200 OK", [f"Set-Cookie: {c}" for c in COOKIES], b"")
    gateway = await start_gateway([route_to(1, app)])
    answer = await client.get(f"{gateway.url}/runtime/1/all")
    assert dict(zip(COOKIES, answer.headers.get_list("set-cookie"), strict=True)) == COOKIES


async def test_a_browser_keeps_the_cookies_apart(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    one, ten = await upstream("1"), await upstream("10")
    for app in (one, ten):
        app.answers["/login"] = ("200 OK", [f"Set-Cookie: session={app.name}; Path=/; Domain=127.0.0.1"], b"")
    gateway = await start_gateway([route_to(1, one), route_to(10, ten)])
    for app_id in (1, 10):
        await client.get(f"{gateway.url}/runtime/{app_id}/login")
    for app_id in (1, 10):
        said = (await client.get(f"{gateway.url}/runtime/{app_id}/me")).json()
        assert dict(said["headers"])["cookie"] == f"session={app_id}"


@pytest.mark.parametrize("body", [0, 100_000])
async def test_cookies_that_would_not_fit_are_refused_never_mangled(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, body: int
) -> None:
    """HAProxy 2.6 fills headers with foreign memory when a rule makes it compact its buffer twice; we stay below that."""
    app = await upstream("1")
    app_id = 1234567890123456789
    gateway = await start_gateway([route_to(app_id, app)])
    for count, size in ((1, 8000), (1, 60_000), (1, 66_000), (20, 3_000), (40, 1_600), (199, 150), (199, 290), (201, 10)):
        cookies = [f"c{n}={chr(97 + n % 26) * size}" for n in range(count)]
        lines = [f"Set-Cookie: {c}; Domain=example.com; Path=/x" for c in cookies]
        app.answers["/many"] = ("302 Found", [*lines, "Location: /l" + "l" * 200], b"b" * body)
        answer = await client.get(f"{gateway.url}/runtime/{app_id}/many")
        got = answer.headers.get_list("set-cookie")
        if count > REWRITABLE_COOKIES or sum(map(len, lines)) > REWRITABLE_HEAD:
            assert (answer.status_code, got) == (502, [])
            assert "64 KB" in answer.text
        else:
            assert answer.status_code == 302
            assert got == [f"{c}; Path=/runtime/{app_id}/x" for c in cookies]
            assert answer.headers["location"] == f"/runtime/{app_id}/l" + "l" * 200
            assert answer.content == b"b" * body


async def test_redirects_get_the_prefix_back(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    here = f"127.0.0.1:{gateway.settings.port}"
    cases = {
        "/login": "/runtime/1/login",
        "/": "/runtime/1/",
        "/login?next=/a,b": "/runtime/1/login?next=/a,b",
        "/runtime/1/login": "/runtime/1/login",
        "/runtime/1": "/runtime/1",
        "/runtime/2/": "/runtime/2/",
        "/runtime/x": "/runtime/1/runtime/x",
        "login": "login",
        "../up": "../up",
        "?q": "?q",
        "//other.example/x": "//other.example/x",
        "https://other.example/login": "https://other.example/login",
        f"http://{here}/login": f"http://{here}/runtime/1/login",
        f"https://{here}/login?a=1": f"https://{here}/runtime/1/login?a=1",
        f"//{here}/login": f"//{here}/runtime/1/login",
        f"http://{here}": f"http://{here}/runtime/1/",
        f"http://{here}/runtime/1/x": f"http://{here}/runtime/1/x",
        f"http://{here}0/login": f"http://{here}0/login",
        f"http://{here}?x=1": f"http://{here}/runtime/1/?x=1",
        f"HTTP://{here.upper()}/x#y": f"HTTP://{here.upper()}/runtime/1/x#y",
        f"http://localhost:{app.port}/x?y=/z": "/runtime/1/x?y=/z",
        f"http://127.0.0.1:{app.port}": "/runtime/1/",
        f"//[::1]:{app.port}/runtime/1/x": "/runtime/1/x",
        "http://0.0.0.0:3000/x": "/runtime/1/x",
        "http://[::]:3000/?q": "/runtime/1/?q",
        "http://app-1:3000/x": "/runtime/1/x",
        "http://APP-1/x": "/runtime/1/x",
        "http://3f2a9c0b1d4e:3000/x": "/runtime/1/x",
        "http://app-11:3000/x": "http://app-11:3000/x",
        "http://app-1.example/x": "http://app-1.example/x",
        "http://3f2a9c0b1d4e.example/x": "http://3f2a9c0b1d4e.example/x",
        "http://localhost:9/other": "http://localhost:9/other",
        "http://localhost.example:3000/x": "http://localhost.example:3000/x",
        "http://0.0.0.0.example/x": "http://0.0.0.0.example/x",
        "https://other.example/?to=http://localhost:3000/": "https://other.example/?to=http://localhost:3000/",
        "/\\evil.example": "/runtime/1/\\evil.example",
    }
    for given, expected in cases.items():
        app.answers["/go"] = ("302 Found", [f"Location: {given}"], b"")
        answer = await client.get(f"{gateway.url}/runtime/1/go")
        assert (given, answer.headers["location"]) == (given, expected)


async def test_redirect_to_the_containers_own_address_comes_back_to_the_visitor(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)], wildcard_domain="apps.example.com")
    for host, path, expected in (
        ("1.apps.example.com", "/go", "/x"),
        ("gw.example.com", "/runtime/1/go", "/runtime/1/x"),
    ):
        for given in (
            "http://localhost:3000/x",
            "http://127.0.0.1/x",
            "http://0.0.0.0:1/x",
            f"http://127.0.0.1:{app.port}/x",
            "http://app-1:3000/x",
        ):
            app.answers["/go"] = ("302 Found", [f"Location: {given}"], b"")
            answer = await client.get(f"{gateway.url}{path}", headers={"Host": host})
            assert (given, answer.headers["location"]) == (given, expected)


async def test_an_app_speaks_for_the_whole_origin_only_where_it_is_alone(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    whole = {
        "service-worker-allowed": "/",
        "clear-site-data": '"*"',
        "strict-transport-security": "max-age=9",
        "alt-svc": 'h3=":9"',
        "nel": "{}",
        "report-to": "{}",
        "accept-ch": "Sec-CH-UA-Model",
        "critical-ch": "DPR",
        "set-login": "logged-in",
    }
    own = {"content-security-policy": "default-src 'self'"}
    app.answers["/all"] = ("200 OK", [f"{name}: {value}" for name, value in (whole | own).items()], b"")
    gateway = await start_gateway([route_to(1, app)], wildcard_domain="apps.example.com")
    shared = await client.get(f"{gateway.url}/runtime/1/all")
    assert {name for name in whole | own if name in shared.headers} == set(own)
    alone = await client.get(f"{gateway.url}/all", headers={"Host": "1.apps.example.com"})
    assert {name for name in whole | own if name in alone.headers} == set(whole | own)


ORDERS = ["Clear-Site-Data", "Alt-Svc", "Service-Worker-Allowed", "Secure-Session-Registration", "Use-As-Dictionary"]
CHALLENGES = {
    'Basic realm="another app"': 'Basic realm="/runtime/1"',
    'basic realm=x, charset="UTF-8"': 'Basic realm="/runtime/1", charset="UTF-8"',
    'Digest charset=utf-8, realm="d", nonce=1, Basic realm="another app"': 'Basic realm="/runtime/1", charset="UTF-8"',
    'Bearer realm="api"': 'Bearer realm="api"',
}


async def test_headers_that_reach_beyond_an_app_are_dropped_or_confined(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    lines = [f"{name}: x" for name in ORDERS] + [f"WWW-Authenticate: {c}" for c in CHALLENGES]
    app.answers["/"] = ("401 Unauthorized", [*lines, "X-Accel-Redirect: /secret"], b"")
    gateway = await start_gateway([route_to(1, app)], wildcard_domain="apps.localhost")
    below = (await client.get(f"{gateway.url}/runtime/1/")).headers
    named = (await client.get(f"{gateway.url}/", headers={"Host": "1.apps.localhost"})).headers
    assert not [name for name in (*ORDERS, "X-Accel-Redirect") if name in below]
    assert below.get_list("www-authenticate") == list(CHALLENGES.values())
    assert [name for name in (*ORDERS, "X-Accel-Redirect") if name in named] == ORDERS
    assert named.get_list("www-authenticate") == list(CHALLENGES)
