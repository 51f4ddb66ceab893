"""What refreshes by itself, in a real Chromium: nothing that a reader has in hand there is lost."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Page, Route, async_playwright, expect

from tests.parts.browser import launch
from tests.parts.htmx import serve_other_htmx
from tests.service.api.platform import PASSWORD
from tests.service.console.site import Browser, Site

PART = {"HX-Request": "true"}
INTERVAL = 11_000
"""More milliseconds than any part waits."""


async def _app(browser: Browser, name: str) -> str:
    await browser.open("/apps/new")
    await browser.send("/apps/new", name=name)
    return browser.last.url.path.removesuffix("/begin")


@pytest.fixture
async def page(site: Site) -> AsyncIterator[Page]:
    """A page of a browser, which complains of nothing: no script's error, no violation of the policy."""
    async with async_playwright() as playwright, launch(playwright) as browser:
        context = await browser.new_context(base_url=site.url, locale="en-US")
        await serve_other_htmx(context)
        page = await context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" and "503" not in m.text else None)
        yield page
        assert complaints == []


async def _sign_in(page: Page, name: str) -> None:
    await page.goto("/login")
    await page.locator("input[name=user_name]").fill(name)
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.locator("main button.primary").click()
    await page.wait_for_url("**/apps")


async def _refreshed(page: Page, part: str) -> None:
    """Lets its interval pass, and waits until the part was put in once more."""
    await page.locator(part).evaluate("part => { part.dataset.old = '1'; }")
    await page.clock.fast_forward(INTERVAL)
    await expect(page.locator(f"{part}[data-old]")).to_have_count(0, timeout=30_000)


async def test_part_of_a_page_that_is_not_there_any_more_loads_the_page(site: Site, ada: Browser) -> None:
    base = await _app(ada, "Shop")
    await ada.open("/apps/rows", **PART)
    assert "<html" not in ada.last.text
    site.platform.wire.cut = 99
    await ada.open(f"{base}/deploys/rows", **PART)
    assert (ada.last.status_code, ada.last.text, ada.last.headers.get("hx-refresh")) == (502, "", None)
    site.platform.wire.cut = 0
    await ada.open(f"{base}/delete")
    await ada.send(f"{base}/delete", typed="Shop")
    await ada.open(f"{base}/state", **PART)
    assert (ada.last.status_code, ada.last.headers["hx-refresh"]) == (404, "true")
    await ada.send("/logout")
    await ada.open("/apps/rows", **PART)
    assert (ada.last.status_code, ada.last.headers["hx-refresh"]) == (401, "true")


async def test_refresh_keeps_focus_and_open_menus_and_tells_when_it_fails(site: Site, ada: Browser, page: Page) -> None:
    await site.platform.admin("root")
    await _sign_in(page, "root")
    await page.clock.install()
    await page.goto("/admin/users")
    await page.locator("#users summary").first.click()
    menu = page.locator("#user-1")
    await menu.get_by_role("button").focus()
    await _refreshed(page, "#users")
    await expect(menu).to_have_attribute("open", "")
    await expect(menu.get_by_role("button")).to_be_focused()

    async def away(route: Route) -> None:
        await route.fulfill(status=503)

    await page.route(re.compile("/users/rows"), away)
    await page.clock.fast_forward(INTERVAL)
    await expect(page.locator("#stale")).to_contain_text("can't be refreshed now", timeout=30_000)
    await expect(page.locator("#users tbody tr")).to_have_count(2)
    await page.unroute_all()
    await page.clock.fast_forward(INTERVAL)
    await expect(page.locator("#stale")).to_be_hidden(timeout=30_000)


async def test_log_of_a_container_goes_on_where_its_lines_end(site: Site, ada: Browser, page: Page) -> None:
    base = await _app(ada, "Shop")
    await ada.send(f"{base}/deploys", git_ref="main")
    await site.platform.finish()
    site.platform.node.output = "one\ntwo\x1b[31m<b>red</b>\x1b[0m\n"
    await _sign_in(page, "ada")
    await page.goto(f"{base}/logs")
    lines = page.locator("app-log .line:visible")
    await expect(lines).to_have_text(["one", "two<b>red</b>"])
    await expect(page.locator("app-log .a-c31")).to_have_text("<b>red</b>")
    site.platform.node.output += "three\nfour without an end"
    await expect(lines).to_have_text(["one", "two<b>red</b>", "three", "four without an end"], timeout=30_000)
    site.platform.node.output = "another container\n"
    await expect(lines.last).to_have_text("another container", timeout=30_000)
    await expect(page.get_by_text("or the container is another one")).to_have_count(1)


async def test_usage_is_drawn_as_wide_as_its_card_in_the_table_s_own_hours(site: Site, ada: Browser, page: Page) -> None:
    base = await _app(ada, "Shop")
    await ada.send(f"{base}/deploys", git_ref="main")
    await site.platform.finish()
    await _sign_in(page, "ada")
    await page.goto(f"{base}/usage")
    canvas = page.locator("usage-chart canvas").first
    painted = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(v => v > 0)"
    assert await canvas.evaluate(painted)
    drawn, card = await canvas.bounding_box(), await page.locator("section.card").first.bounding_box()
    assert drawn and card and drawn["width"] > 0.9 * card["width"], (drawn, card)
    assert drawn["width"] < card["width"]
    await expect(page.locator(".u-legend .u-label").first).to_have_text("Time (UTC)")
