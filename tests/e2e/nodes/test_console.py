"""The console's page of a drain, on a platform of several nodes, in a real Chromium."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from playwright.async_api import expect

from benchmarks.chaos.visitors import Visits
from funai.i18n.console import text
from tests.e2e.nodes.world import ANSWER, SECRET, Nodes
from tests.e2e.up.browser import chromium, findings, sign_in
from tests.parts.daemon import Daemon
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually, free_port, tcp_answers

pytestmark = only_in_full  # the page's parts are in every run: tests/service/console, and the drain: test_drain.py

PASSWORD = "correct horse battery"
LONG = 120_000
"""Milliseconds for a drain on a busy machine."""


def console_of(platform: Nodes, port: int) -> Daemon:
    """The API with its console, not started."""
    own = {
        "FUNAI_API_HOST": "127.0.0.1",
        "FUNAI_API_PORT": str(port),
        "FUNAI_API_DATASOURCE_URL": f"sqlite:///{platform.folder}/api.db",
        "JWT_SECRET": SECRET * 4,
        "FUNAI_AUTH_ADMIN_PASSWORD": PASSWORD,
        "DEPLOY_PROXY_BASE_URL": platform.deploy_url,
        "DEPLOY_PROXY_SHARED_SECRET": SECRET,
        "DEPLOY_PROXY_ADMIN_TOKEN": SECRET,
        "DEPLOY_GIT_ENABLED": "false",
        "DEPLOY_ACR_ENABLED": "false",
    }
    return platform.service("api", "api", own, lambda: tcp_answers(port))


@pytest.mark.parametrize(("language", "locale"), [("en", "en-US"), ("zh", "zh-CN")])
async def test_admin_drains_a_node_sees_its_apps_move_live_and_none_loses_a_request(
    platform: Nodes, language: str, locale: str
) -> None:
    t, port = partial(text, language), free_port()
    await platform.all_healthy()
    urls = await platform.live(3, "node-1")
    console = console_of(platform, port)
    await asyncio.to_thread(console.start)
    visits = Visits({app_id: {ANSWER} for app_id in urls}, patience=60)
    try:
        async with chromium(locale=locale) as watched, visits.of(urls):
            page = await watched.page()
            await sign_in(page, f"http://127.0.0.1:{port}", "admin", PASSWORD)
            await page.goto(f"http://127.0.0.1:{port}/admin/nodes")
            row = page.get_by_role("row").filter(has_text="node-1")
            await row.locator("a[href$='/drain']").click()
            await page.locator("main button.primary").click()
            moved = t("node_drain_progress", moved=len(urls), total=len(urls), moving=0, waiting=0, failed=0)
            # Nobody loads the page again: what it shows of the drain comes by itself.
            await expect(page.locator("#drain .notice.good")).to_have_text(moved, timeout=LONG)
            for app_id in urls:
                move = page.locator("#drain li").filter(has_text=t("audit_of_app", id=app_id))
                await expect(move).to_contain_text(t("move_MOVED"))
                await expect(move).to_contain_text("→ node-")
            await expect(page.get_by_role("button", name=t("node_drain_cancel"))).to_have_count(0)
            assert await findings(page) == []
            await eventually(lambda: platform.left("node-1", urls), seconds=60, what="the node runs none of the apps")
            seen = visits.requests
            await eventually(lambda: visits.requests > seen + 2 * len(urls), what="the visitors go on")
            watched.check()
    finally:
        await asyncio.to_thread(console.stop)
    homes = await platform.homes()
    assert "node-1" not in {homes[app_id] for app_id in urls}
    assert not visits.bad and not visits.stale, visits.bad[:3] + visits.stale[:3]
