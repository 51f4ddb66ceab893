"""Apps that know nothing of their base path, in a real browser: at ``/runtime/{appId}/`` and under a name of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.e2e.gateway.conftest import StartGateway, StartUpstream, route_to
from tests.e2e.gateway.upstream import Upstream
from tests.parts.browser import launch

HTML, JS, CSS, SVG = (f"Content-Type: {kind}" for kind in ("text/html", "text/javascript", "text/css", "image/svg+xml"))
DOT = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
PAGE = b"""<!doctype html><title>start</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/style.css">
<img id="logo" src="/logo.svg"><p id="state">loading</p><a id="about" href="/about">about</a>
<form method="post" action="/submit"><input name="word" value="hi"><button id="send">send</button></form>
<script type="module" src="/assets/main.js"></script>"""
MAIN = b"""import { word } from '/assets/dep.js';
const sent = await (await fetch('/upload', { method: 'POST', body: 'hello' })).text();
document.cookie = 'seen=1';
const lazy = await import('/assets/lazy.js');
document.getElementById('state').textContent = [word, lazy.word, sent].join(' ');"""
SOCKET = """() => new Promise(done => {
  const socket = new WebSocket(`ws://${location.host}/chat`);
  socket.onopen = () => socket.send('hello');
  socket.onmessage = said => { done(said.data); socket.close(); };
  socket.onerror = () => done('no socket');
})"""
LOADED = "document.getElementById('state')?.textContent == 'module lazy 5'"
WORKER = """async () => navigator.serviceWorker.register('/worker.js').then(() => 'registered', () => 'refused')"""


def furnish(app: Upstream) -> None:
    """A server-rendered site with absolute paths throughout, and ``Referrer-Policy: no-referrer`` as Helmet sets it."""
    app.answers |= {
        "/": ("200 OK", [HTML, "Set-Cookie: s=1; Path=/", "Referrer-Policy: no-referrer"], PAGE),
        "/about": ("200 OK", [HTML], b"<!doctype html><title>about</title><a id=back href=/>back</a>"),
        "/submit": ("303 See Other", ["Location: /thanks"], b""),
        "/thanks": ("200 OK", [HTML], b"<!doctype html><title>thanks</title>"),
        "/style.css": ("200 OK", [CSS], b"body { color: rgb(1, 2, 3); background: url(/dot.svg) }"),
        "/dot.svg": ("200 OK", [SVG], DOT),
        "/logo.svg": ("200 OK", [SVG], DOT),
        "/assets/main.js": ("200 OK", [JS], MAIN),
        "/assets/dep.js": ("200 OK", [JS], b"export const word = 'module';"),
        "/assets/lazy.js": ("200 OK", [JS], b"export const word = 'lazy';"),
        "/worker.js": ("200 OK", [JS], b""),
    }


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright, launch(playwright) as started:
        yield started


async def visit(page: Page, base: str) -> None:
    """All that the site does; any request that fails is a failure."""
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(answer.url) if answer.status >= 400 else None)
    page.on("requestfailed", lambda request: failed.append(request.url))
    async with page.expect_response(lambda answer: answer.url.endswith("/dot.svg") and answer.ok):
        await page.goto(base)
    await page.wait_for_function(LOADED)
    assert await page.evaluate("getComputedStyle(document.body).color") == "rgb(1, 2, 3)"
    assert await page.evaluate("document.getElementById('logo').naturalWidth") == 9
    await page.click("#about")
    await page.wait_for_function("document.title == 'about'")
    assert page.url == f"{base}about"
    await page.click("#back")
    await page.wait_for_function(LOADED)
    await page.click("#send")
    await page.wait_for_function("document.title == 'thanks'")
    assert page.url == f"{base}thanks"
    assert failed == []


async def test_site_with_absolute_paths_works_below_its_base_path(
    start_gateway: StartGateway, upstream: StartUpstream, browser: Browser
) -> None:
    app, other = await upstream("7"), await upstream("8")
    furnish(app)
    furnish(other)
    gateway = await start_gateway([route_to(7, app), route_to(8, other)])
    page = await browser.new_page()
    await visit(page, f"{gateway.url}/runtime/7/")
    assert not other.requests
    # A socket's handshake says nothing of its page, and a service worker would stand before every app of the origin.
    assert await page.evaluate(SOCKET) == "no socket"
    assert await page.evaluate(WORKER) == "refused"
    assert {r.header("cookie") for r in app.requests if r.target == "/submit"} == {"s=1; seen=1"}
    assert [r.method for r in app.requests if r.target == "/submit"] == ["POST"]


async def test_site_under_a_name_of_its_own_works_with_sockets_and_workers(
    start_gateway: StartGateway, upstream: StartUpstream, browser: Browser
) -> None:
    app, other = await upstream("7"), await upstream("8")
    furnish(app)
    gateway = await start_gateway([route_to(7, app), route_to(8, other)], wildcard_domain="apps.localhost")
    page = await browser.new_page()
    base = f"http://7.apps.localhost:{gateway.settings.port}/"
    await visit(page, base)
    assert await page.evaluate(SOCKET) == "7: hello"
    assert await page.evaluate(WORKER) == "registered"
    origins = {r.header("origin") for r in app.requests if r.target in ("/upload", "/chat")}
    assert origins == {base.rstrip("/")}
    assert all(r.header("host") == r.header("x-forwarded-host") == base[7:-1] for r in app.requests)
    assert not other.requests


async def test_two_apps_in_two_tabs_keep_to_themselves(
    start_gateway: StartGateway, upstream: StartUpstream, browser: Browser
) -> None:
    apps = [await upstream("7"), await upstream("8")]
    for app in apps:
        furnish(app)
    gateway = await start_gateway([route_to(7, apps[0]), route_to(8, apps[1])])
    context = await browser.new_context()
    pages = [await context.new_page(), await context.new_page()]
    await asyncio.gather(*(visit(p, f"{gateway.url}/runtime/{n}/") for p, n in zip(pages, (7, 8), strict=True)))
    assert {r.target for r in apps[0].requests} == {r.target for r in apps[1].requests}
