"""A deployed page looked at as a visitor would, through a real gateway, in both forms of address."""

from __future__ import annotations

import pytest

from funai.agent.rollout import visit
from funai.agent.rollout.visit import PublicEntry
from funai.gateway.haproxy.driver import HaproxyGateway
from tests.e2e.gateway.conftest import StartGateway, StartUpstream, route_to
from tests.e2e.gateway.upstream import Upstream

HTML, JS, CSS = (f"Content-Type: {kind}" for kind in ("text/html; charset=utf-8", "text/javascript", "text/css"))
PAGE = b"""<!doctype html><link rel=stylesheet href=/style.css><link rel=icon href=/none.ico><script src=/a.js></script>
<script>var x = "<script src=/not-there.js>"</script><script src='https://cdn.example/x.js'></script>
<img src=/gone.png><img src="data:image/png;base64,xx"><script src="/spa.js"></script>
<script src="http://localhost:3000/dev.js"></script>"""


def entry(gateway: HaproxyGateway) -> PublicEntry:
    return PublicEntry(gateway.url, gateway.owner_headers)


async def seen(gateway: HaproxyGateway, *, own_name: bool) -> list[str]:
    port = gateway.settings.port
    address = f"http://7.apps.localhost:{port}/" if own_name else f"http://gw.example:{port}/runtime/7/"
    return await visit.notes(entry(gateway), address, own_name=own_name)


@pytest.fixture
async def site(upstream: StartUpstream) -> Upstream:
    app = await upstream("7")
    app.answers |= {
        "/": ("200 OK", [HTML], PAGE),
        "/a.js": ("200 OK", [JS], b""),
        "/style.css": ("200 OK", [CSS], b""),
        "/spa.js": ("200 OK", [HTML], b"<html>"),
        "/gone.png": ("404 Not Found", [HTML], b""),
    }
    return app


@pytest.mark.parametrize("own_name", [False, True])
async def test_visit_tells_what_a_page_lacks_and_what_to_do(
    start_gateway: StartGateway, site: Upstream, own_name: bool
) -> None:
    gateway = await start_gateway([route_to(7, site)], wildcard_domain="apps.localhost")
    told = await seen(gateway, own_name=own_name)
    assert len(told) == 3
    remedy = "see that it is built" if own_name else "use the app's own host name, or build with base './'"
    assert "/ the page's image /gone.png answers 404: " + remedy in told[0]
    assert "/ the page's script /spa.js is answered by a page instead: " + remedy in told[1]
    assert "localhost:3000/dev.js is on the visitor's own machine" in told[2]
    asked = {r.target for r in site.requests}
    assert asked == {"/", "/a.js", "/style.css", "/spa.js", "/gone.png"}
    hosts = {r.header("host") for r in site.requests}
    port = gateway.settings.port
    assert hosts == {f"7.apps.localhost:{port}" if own_name else f"gw.example:{port}"}
    assert all(r.header("x-funai-probe") is None for r in site.requests)


async def test_visit_without_leading_back_finds_absolute_parts_missing(start_gateway: StartGateway, site: Upstream) -> None:
    gateway = await start_gateway([route_to(7, site)], lead_back=False)
    told = await seen(gateway, own_name=False)
    assert [word in " ".join(told) for word in ("/a.js answers 404", "/style.css answers 404")] == [True, True]


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        ("403 Forbidden", [HTML], ["answers 403 at /"]),
        ("404 Not Found", [HTML], ["answers 404 at /"]),
        ("500 No", [HTML], ["answers 500 at /"]),
        ("200 OK", ["Content-Type: application/json"], []),
        ("302 Found", ["Location: /login"], ["answers 401 at /login"]),
        ("302 Found", ["Location: https://sso.example/"], []),
        ("302 Found", ["Location: /"], []),
    ],
)
async def test_visit_of_a_page_says_its_status_in_one_line(
    start_gateway: StartGateway, upstream: StartUpstream, status: str, headers: list[str], told: list[str]
) -> None:
    app = await upstream("7")
    app.answers |= {"/": (status, headers, b"<script src=/x.js>"), "/login": ("401 Unauthorized", [HTML], b"")}
    gateway = await start_gateway([route_to(7, app)], wildcard_domain="apps.localhost")
    found = await seen(gateway, own_name=True)
    assert len(found) == len(told)
    assert all(part in line and "\n" not in line for part, line in zip(told, found, strict=True))


async def test_visit_is_bounded_and_quotes_nothing_raw(
    start_gateway: StartGateway, upstream: StartUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await upstream("7")
    many = "".join(f"<script src='/{n}\x1b[31m{'x' * 500}.js'></script>" for n in range(500))
    app.answers["/"] = ("200 OK", [HTML], many.encode())
    gateway = await start_gateway([route_to(7, app)], wildcard_domain="apps.localhost")
    app.answers |= {f"/{n}%1B[31m{'x' * 500}.js": ("404 Not Found", [HTML], b"") for n in range(500)}
    told = await seen(gateway, own_name=True)
    assert len(app.requests) == 1 + visit.MAX_PARTS
    assert len(told) == visit.MAX_TOLD + 1
    assert told[-1].endswith(f"and {visit.MAX_PARTS - visit.MAX_TOLD} more")
    assert all(len(line) < 600 and line.isprintable() for line in told)
    monkeypatch.setattr(visit, "SECONDS", 0.2)
    app.answers["/"] = ("302 Found", ["Location: /hold"], b"")
    assert await seen(gateway, own_name=True) == []


async def test_visit_of_a_gateway_that_is_away_tells_nothing() -> None:
    assert await visit.notes(PublicEntry("http://127.0.0.1:1"), "http://7.apps.localhost/", own_name=True) == []
