"""Requests outside an app's base path that its pages make: led back to the app, and nothing else is."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from funai.contracts.routes import Route, RouteState
from tests.e2e.gateway.conftest import StartGateway, StartUpstream, route_to

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


async def ask(client: httpx.AsyncClient, url: str, page: str, method: str = "GET", **more: Any) -> httpx.Response:
    headers = {"Referer": page, **more.pop("headers", {})}
    return await client.request(method, url, headers=headers, **more)


async def test_stray_request_of_an_apps_page_is_led_back_with_method_and_body(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("12")
    gateway = await start_gateway([route_to(12, app)])
    page = f"{gateway.url}/runtime/12/deep/page?q=1"
    for method, target in (("GET", "/assets/a.js?v=%2F&b"), ("POST", "/login"), ("DELETE", "/api/x/1"), ("GET", "/")):
        answer = await ask(client, gateway.url + target, page, method, headers=SAME_ORIGIN)
        assert (answer.status_code, answer.headers["location"]) == (307, f"/runtime/12{target}")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["vary"] == "Referer"
    moved = await ask(client, f"{gateway.url}/upload", page, "POST", content=b"x" * 100_000, follow_redirects=True)
    assert moved.text == "100000"
    assert app.requests[-1].target == "/upload"


@pytest.mark.parametrize(
    ("target", "page", "headers"),
    [
        ("/a.js", "http://other.example/runtime/1/", {}),
        ("/a.js", "{here}0/runtime/1/", {}),
        ("/a.js", "{here}/runtime/2/", {}),
        ("/a.js", "{here}/runtime/01/", {}),
        ("/a.js", "{here}/runtime/1x/", {}),
        ("/a.js", "{here}/x/runtime/1/", {}),
        ("/a.js", "{here}/?/runtime/1/", {}),
        ("/a.js", "{here}", {}),
        ("/a.js", "", {}),
        ("/a.js", "{here}/runtime/1/", {"Sec-Fetch-Site": "cross-site"}),
        ("/a.js", "{here}/runtime/1/", {"Sec-Fetch-Site": "none"}),
        ("/sw.js", "{here}/runtime/1/", {"Service-Worker": "script"}),
        ("/sw.js", "{here}/runtime/1/", {"Sec-Fetch-Dest": "serviceworker"}),
        ("/runtime/9/x", "{here}/runtime/1/", {}),
        ("/runtime", "{here}/runtime/1/", {}),
        ("/internal/x", "{here}/runtime/1/", {}),
        ("/api/fun-ai/app/list", "{here}/runtime/1/", {}),
        ("/.well-known/acme-challenge/x", "{here}/runtime/1/", {}),
    ],
)
async def test_stray_request_that_no_app_can_claim_is_the_unknown_page(
    start_gateway: StartGateway,
    upstream: StartUpstream,
    client: httpx.AsyncClient,
    target: str,
    page: str,
    headers: dict[str, str],
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    answer = await ask(client, gateway.url + target, page.format(here=gateway.url), headers=headers)
    assert answer.status_code == 404
    health = await ask(client, f"{gateway.url}/internal/health", f"{gateway.url}/runtime/1/")
    assert (health.status_code, health.json()) == (200, {"ok": True})
    assert not app.requests


async def test_stray_requests_of_a_stopped_app_meet_its_page(start_gateway: StartGateway, client: httpx.AsyncClient) -> None:
    gateway = await start_gateway([Route(2, RouteState.STOPPED)])
    answer = await client.get(f"{gateway.url}/x", headers={"Referer": f"{gateway.url}/runtime/2/"}, follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (503, "/runtime/2/x")


async def test_stray_requests_when_switched_off_are_the_unknown_page(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    gateway = await start_gateway([route_to(1, await upstream("1"))], lead_back=False)
    assert (await ask(client, f"{gateway.url}/x", f"{gateway.url}/runtime/1/")).status_code == 404


async def test_stray_requests_under_an_apps_own_name_are_the_apps(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)], wildcard_domain="apps.localhost")
    own = f"1.apps.localhost:{gateway.settings.port}"
    headers = {"Host": own, "Referer": f"http://{own}/runtime/1/page"}
    assert (await client.get(f"{gateway.url}/internal/health", headers=headers)).json()["target"] == "/internal/health"
    assert (await client.get(f"{gateway.url}/x", headers=headers)).json()["target"] == "/x"


async def test_stray_requests_behind_a_trusted_proxy_are_compared_with_what_the_visitor_sees(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)], trusted_proxies=["127.0.0.1"])
    seen = {"X-Forwarded-Host": "apps.example"}
    page = "https://apps.example/runtime/1/"
    assert (await ask(client, f"{gateway.url}/x", page, headers=seen)).headers["location"] == "/runtime/1/x"
    assert (await ask(client, f"{gateway.url}/x", page)).status_code == 404


async def test_pages_that_hide_their_address_from_everybody_still_show_it_to_their_own_origin(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)], wildcard_domain="apps.localhost")
    shy = {
        "no-referrer": "same-origin",
        "no-referrer, strict-origin": "same-origin",
        "Origin": "same-origin",
        "strict-origin-when-cross-origin": "strict-origin-when-cross-origin",
        "same-origin": "same-origin",
    }
    for given, expected in shy.items():
        app.answers["/p"] = ("200 OK", [f"Referrer-Policy: {given}"], b"")
        assert (await client.get(f"{gateway.url}/runtime/1/p")).headers["referrer-policy"] == expected
        own = await client.get(f"{gateway.url}/p", headers={"Host": "1.apps.localhost"})
        assert own.headers["referrer-policy"] == given
