"""An admin drains a node on the console's page: the apps move to another real node while visitors are served."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from playwright.async_api import Page, expect

from benchmarks.chaos.visitors import Visits
from funai.base.process.proc import base_environment
from funai.i18n.console import text
from tests.e2e.nodes.world import ANSWER, SECRET, START, Nodes
from tests.e2e.up.browser import chromium, findings, width
from tests.parts.daemon import Daemon
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually, free_port, tcp_answers

pytestmark = only_in_full
APPS = 5
PASSWORD = "correct horse battery"
t = partial(text, "en")
"""Say in the admin's language."""


def _api(platform: Nodes) -> tuple[Daemon, str]:
    """The API with its console, not started, and its address."""
    port = free_port()
    env = {
        **base_environment(),
        "HOME": str(platform.folder),
        "FUNAI_API_HOST": "127.0.0.1",
        "FUNAI_API_PORT": str(port),
        "FUNAI_API_DATASOURCE_URL": f"sqlite:///{platform.folder}/api.db",
        "FUNAI_AUTH_ADMIN_PASSWORD": PASSWORD,
        "JWT_SECRET": "a-secret-of-this-test-" * 2,
        "DEPLOY_PROXY_BASE_URL": platform.deploy_url,
        "DEPLOY_PROXY_SHARED_SECRET": SECRET,
        "DEPLOY_PROXY_ADMIN_TOKEN": SECRET,
    }
    argv = [Path(sys.executable).with_name("funai"), "serve", "api"]
    log = platform.folder / "api.log"
    return Daemon(
        "api", argv, log=log, ready=lambda: tcp_answers(port), env=env, start_seconds=START
    ), f"http://127.0.0.1:{port}"


async def _sign_in(page: Page, url: str) -> None:
    await page.goto(f"{url}/login")
    await page.locator("input[name=user_name]").fill("admin")
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.locator("main button.primary").click()
    await page.wait_for_url("**/apps")


async def test_drain_on_the_page_shows_each_app_move_and_no_visitor_notices(platform: Nodes) -> None:
    await platform.all_healthy()
    urls = await platform.live(APPS, "node-1")
    source = (await platform.known())["node-1"].id
    api, url = _api(platform)
    await asyncio.to_thread(api.start)
    visits = Visits({app_id: {ANSWER} for app_id in urls}, patience=60)
    try:
        async with chromium(locale="en-US", viewport=width(1280)) as watched:
            page = await watched.page()
            await _sign_in(page, url)
            await page.goto(f"{url}/admin/nodes")
            row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="node-1"))
            await row.get_by_role("button", name=t("node_disable"), exact=True).click()
            await expect(page.get_by_text(t("done_node"))).to_be_visible()
            async with visits.of(urls):
                await row.locator("a[href$='/drain']").click()
                await page.get_by_role("button", name=t("node_drain"), exact=True).click()
                await expect(page.get_by_role("button", name=t("node_drain_cancel"))).to_be_visible()
                assert await findings(page) == []
                done = t("node_drain_progress", moved=APPS, total=APPS, moving=0, waiting=0, failed=0)
                await expect(page.locator("#drain .notice.good")).to_have_text(done, timeout=120_000)
                await eventually(lambda: platform.left("node-1", urls), seconds=60, what="the node runs none of the apps")
            for app_id in urls:
                moved = page.get_by_role("listitem").filter(has_text=t("audit_of_app", id=app_id))
                await expect(moved).to_contain_text(t("move_MOVED"))
                await expect(moved).to_contain_text("node-")
            await expect(page.get_by_role("button", name=t("node_drain_cancel"))).to_have_count(0)
            await page.goto(f"{url}/admin/nodes/{source}/drain")
            await expect(page.locator("#drain .notice.good")).to_have_text(done)
            watched.check()
    finally:
        await asyncio.to_thread(api.stop)
    homes = await platform.homes()
    assert "node-1" not in {homes[app_id] for app_id in urls}
    assert not visits.bad and not visits.stale, visits.bad[:3] + visits.stale[:3]
    assert SECRET not in api.tail(1000)
