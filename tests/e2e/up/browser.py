"""A real Chromium in front of a platform: any complaint of the page fails the test that caused it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import BrowserContext, ConsoleMessage, Page, Response, ViewportSize, async_playwright

from tests.parts.browser import launch
from tests.parts.htmx import serve_other_htmx, tells_of_a_lost_request

SERIOUS = frozenset({"serious", "critical"})
MOVED = "net::ERR_NETWORK_CHANGED"
"""Chromium drops its connections when the machine gets or loses an address, as with each container: no fault of a page's."""


@dataclass
class Watched:
    """A context whose pages are listened to. ``allowed``: statuses that a page may answer in this test."""

    context: BrowserContext
    complaints: list[str] = field(default_factory=list[str])
    allowed: set[int] = field(default_factory=set[int])

    async def page(self) -> Page:
        page = await self.context.new_page()
        page.on("console", self._said)
        page.on("pageerror", lambda e: self.complaints.append(f"error: {e}"))
        page.on("response", self._answered)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        expected = any(f"status of {status} " in message.text for status in self.allowed)
        expected = expected or MOVED in message.text or tells_of_a_lost_request(message.text)
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(f"{message.type}: {message.text} at {message.location.get('url')}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.allowed:
            self.complaints.append(f"{response.status}: {response.url}")

    def check(self) -> None:
        assert self.complaints == []


@asynccontextmanager
async def chromium(*flags: str, **options: Any) -> AsyncIterator[Watched]:
    """A browser with one context. ``flags``: Chromium's own; ``options``: locale, java_script_enabled, viewport."""
    async with async_playwright() as playwright, launch(playwright, *flags) as browser:
        context = await browser.new_context(**options)
        await serve_other_htmx(context)
        yield Watched(context)


async def sign_in(page: Page, console: str, name: str, password: str) -> None:
    """Fill in the form of the console at that address, and wait for the person's apps."""
    await page.goto(f"{console}/login")
    await page.locator("input[name=user_name]").fill(name)
    await page.locator("input[name=password]").fill(password)
    await page.locator("main button.primary").click()
    await page.wait_for_url("**/apps")


def width(pixels: int) -> ViewportSize:
    return {"width": pixels, "height": 800}


async def findings(page: Page) -> list[str]:
    """What axe finds on the page that is serious or worse."""
    result: Any = await Axe().run(page)  # pyright: ignore[reportUnknownMemberType]
    violations: list[dict[str, Any]] = result.response["violations"]
    return [f"{v['id']}: {v['nodes'][0]['html'][:200]}" for v in violations if v["impact"] in SERIOUS]
