"""Eleven small apps, each as an AI assistant writes one in its framework, and a visit of one in a real browser.

``apps/NAME`` is the app unchanged; ``recipes/NAME`` has the files that docs/frameworks.md changes for the path form.
All of them show the same page: a style, a script, an image, a list by ``fetch``, a form that a script sends, one that the
browser sends, a link, a redirect, a cookie; one of them a socket.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Request, Response, expect

HERE = Path(__file__).parent
NAMES = (
    "express",
    "vite-react",
    "next15",
    "next16",
    "next-standalone",
    "nest",
    "sveltekit",
    "nuxt",
    "fastify-socketio",
    "react-router",
    "astro",
)
PATIENCE_MS = 10_000
_NO_ICON, _ICON = "/favicon.ico", "/icon.svg"
"""What browsers ask for where a page names no icon (the apps have none), and the icon that Next's apps name."""
_ABORTED = "net::ERR_ABORTED"
"""A request that its page gave up, such as a prefetch when the visitor goes on."""
_MOVED = "net::ERR_NETWORK_CHANGED"
"""Chromium drops all connections when the machine gets or loses an address, as with each container that starts beside it."""
VISITS = 3


def files_of(name: str, *, recipe: bool = False) -> dict[str, str | bytes]:
    """The app's files by their path, with the recipe's in place of its own."""
    found: dict[str, str | bytes] = {}
    for root in (HERE / "apps" / name, HERE / "recipes" / name)[: 2 if recipe else 1]:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            data = path.read_bytes()
            found[path.relative_to(root).as_posix()] = data if path.suffix == ".png" else data.decode()
    return found


@dataclass
class Visit:
    """What did not work at an app's address. ``steps``: what a person would see; the others as the browser reports them."""

    steps: list[str] = field(default_factory=list[str])
    console: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])
    icons: list[str] = field(default_factory=list[str])
    """The tab's icon was not there. A page that moved its address out of the app asks for it anew; the app works."""

    @property
    def ok(self) -> bool:
        return not (self.steps or self.console or self.requests)

    def listen(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("response", self._answered)
        page.on("requestfailed", self._failed)

    def _said(self, message: ConsoleMessage) -> None:
        where = str(message.location.get("url"))
        if message.type == "error" and not where.endswith((_NO_ICON, _ICON)):
            self.console.append(f"{message.text} at {where}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and not response.url.endswith(_NO_ICON):
            kept = self.icons if response.url.endswith(_ICON) else self.requests
            kept.append(f"{response.status} {response.request.method} {response.url}")

    def _failed(self, request: Request) -> None:
        if request.failure != _ABORTED:
            self.requests.append(f"{request.failure} {request.method} {request.url}")


async def visit(context: BrowserContext, name: str, url: str) -> Visit:
    """Use the app at ``url`` as a person would; once more, from the start, when the machine's network changed meanwhile."""
    for _ in range(VISITS - 1):
        found = await _visit(context, name, url)
        if not any(_MOVED in line for line in (*found.console, *found.requests, *found.steps)):
            return found
    return await _visit(context, name, url)


async def _visit(context: BrowserContext, name: str, url: str) -> Visit:
    """Each step begins at the app's page."""
    found = Visit()
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    found.listen(page)
    steps: list[Callable[[Page], Awaitable[None]]] = [_looks, _lists, _adds, _links, _redirects, _signs]
    for step in [*steps, *([_talks] if name == "fastify-socketio" else [])]:
        try:
            await page.goto(url)
            await step(page)
        except (AssertionError, Error) as error:
            found.steps.append(f"{step.__name__[1:]}: {str(error).splitlines()[0]}")
    await page.close()
    return found


async def _looks(page: Page) -> None:
    await expect(page.locator("h1")).to_have_css("color", "rgb(10, 80, 160)", timeout=PATIENCE_MS)
    await page.wait_for_function("document.getElementById('pic')?.naturalWidth > 0")


async def _lists(page: Page) -> None:
    await expect(page.locator("#list li").first).to_have_text("first", timeout=PATIENCE_MS)


async def _adds(page: Page) -> None:
    before = await _entries(page)
    await page.fill("#text", "second")
    await page.click("#add button")
    await expect(page.locator("#list li")).to_have_count(before + 1, timeout=PATIENCE_MS)
    cookies = await page.context.cookies(page.url)
    assert any(c.get("name") == "sid" for c in cookies), "no cookie"


async def _entries(page: Page) -> int:
    await expect(page.locator("#list li").first).to_be_visible(timeout=PATIENCE_MS)
    await page.wait_for_load_state("networkidle")
    return await page.locator("#list li").count()


async def _links(page: Page) -> None:
    await _entries(page)
    await page.click("#about")
    await _is_about(page)


async def _redirects(page: Page) -> None:
    await page.click("#go")
    await _is_about(page)


async def _signs(page: Page) -> None:
    await _entries(page)
    await page.click("#sign button")
    await _is_about(page)


async def _is_about(page: Page) -> None:
    await expect(page.locator("#about-page")).to_be_visible(timeout=PATIENCE_MS)


async def _talks(page: Page) -> None:
    await expect(page.locator("#socket")).to_have_text("hello by websocket", timeout=PATIENCE_MS)
