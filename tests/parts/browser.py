"""Debian's Chromium, headless, driven by Playwright."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, Playwright

from funai.base.process.programs import find_program

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--force-prefers-reduced-motion",  # a dot that pulses is drawn by the processor here: a third of a walk's time
)


@asynccontextmanager
async def launch(playwright: Playwright, *flags: str) -> AsyncIterator[Browser]:
    """A browser while the context is open. ``*.localhost`` is loopback in it. ``flags`` are more of Chromium's own."""
    program = find_program("chromium")
    assert program, "chromium is missing; `make setup-test` installs it"
    browser = await playwright.chromium.launch(executable_path=program, args=[*FLAGS, *flags])
    try:
        yield browser
    finally:
        await browser.close()
