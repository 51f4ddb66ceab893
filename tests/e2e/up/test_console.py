"""The console in a real Chromium, against a real platform."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from itertools import product

import pytest
from playwright.async_api import Page, expect

from funai.base.clients.api import ApiClient
from funai.i18n.console import text
from funai.standalone.layout import FIRST_ADMIN, ensure_key, load_secrets
from tests.e2e.up.browser import Watched, chromium, findings, sign_in, width
from tests.e2e.up.pictures import FOLDER, picture
from tests.e2e.up.world import DOCKERFILE, Person, Platform, project
from tests.parts.extent import extent, only_in_full

PASSWORD = "correct horse battery"
DEPLOY_SECONDS = 120_000
"""Milliseconds that a deploy may take on a busy machine."""
LOOKS = list(product(("zh", "en"), ("light", "dark"), (360, 1280)))
LOCALES = {"en": "en-US", "zh": "zh-CN"}
WALKS = [("en", True), ("zh", True)] if FOLDER else extent([("en", True)], [("en", True), ("zh", True), ("zh", False)])
"""A newcomer's languages, with and without JavaScript."""
Say = Callable[..., str]
"""A text of the catalogue in the newcomer's language."""
expect.set_options(timeout=30_000)
BROKEN = DOCKERFILE.replace("COPY . .", "COPY . .\nRUN echo a-telling-line && false")


async def _sign_in(page: Page, up: Platform, name: str, password: str = PASSWORD) -> None:
    await sign_in(page, up.api_url, name, password)


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("language", "javascript"), WALKS)
async def test_newcomer_signs_up_deploys_breaks_mends_and_rolls_back(
    up: Platform, person: Person, language: str, javascript: bool
) -> None:
    """The way of a newcomer; ``person`` is only used to push with git."""
    t, locale = partial(text, language), LOCALES[language]
    async with chromium(locale=locale, viewport=width(1280), java_script_enabled=javascript) as watched:
        page = await watched.page()
        await page.goto(f"{up.api_url}/register")
        await page.locator("input[name=user_name]").fill(f"ada-{person.user_id}")
        await page.locator("input[name=password]").fill(PASSWORD)
        await page.locator("main button.primary").click()
        await expect(page.get_by_role("heading", name=t("apps_empty"))).to_be_visible()
        await person.api.remove_key((await person.api.keys())[0].id)  # the newcomer pushes with the same key
        await _register_key(page, ensure_key(person.home / "id_ed25519", "t"), up, t)
        await page.get_by_role("link", name=t("menu_apps"), exact=True).click()
        await page.get_by_role("link", name=t("app_new")).click()
        await page.locator("input[name=name]").fill("Shop")
        await page.locator("main button.primary").click()
        repository = re.search(r"ssh://\S+", await page.locator(".command pre").inner_text())
        assert repository
        await _push(person, repository.group(), project("one"))
        await page.get_by_role("button", name=t("deploy_now"), exact=True).first.click()
        await _succeeds(page, t)
        await _read_the_log(page, t, javascript=javascript)
        await _shown(page, language, "deploy", javascript=javascript)
        await _push(person, repository.group(), project("two", dockerfile=BROKEN))
        await page.get_by_role("button", name=t("again")).click()
        await expect(page.locator("#state .notice.bad h3")).to_contain_text(t("failed_title"), timeout=DEPLOY_SECONDS)
        await expect(page.get_by_text(t("blame_user"))).to_be_visible()
        await expect(page.locator("pre.lines")).to_contain_text("a-telling-line")
        await _shown(page, language, "failed", javascript=javascript)
        failed = page.url
        await _set_variable(page, t)
        await _push(person, repository.group(), project("three"))
        await page.goto(failed)
        await page.get_by_role("button", name=t("again")).click()
        await _succeeds(page, t)
        await _compare_and_roll_back(page, t, language)
        await page.get_by_role("link", name=t("menu_apps"), exact=True).click()
        await _shown(page, language, "apps", javascript=javascript)
        await page.get_by_role("link", name="Shop").click()
        await page.wait_for_url("**/users/*/apps/*")
        shop = page.url
        await _drain(page, up, t, language, shop)
        await page.locator("form[action='/logout'] button").click()
        await _sign_in(page, up, f"ada-{person.user_id}")
        await page.goto(shop)
        await expect(page.locator("#state .badge").first).to_have_text(t("state_3"))
        await _delete(page, t)
        watched.check()


async def _shown(page: Page, language: str, name: str, *, javascript: bool) -> None:
    """A page of the walk: pictured where pictures are made, and without a serious finding of axe, which is a script."""
    await picture(page, language, name)
    if javascript:
        assert await findings(page) == [], name


async def _register_key(page: Page, public_key: str, up: Platform, t: Say) -> None:
    await page.goto(f"{up.api_url}/account")
    await page.locator("textarea[name=public_key]").fill(public_key)
    await page.get_by_role("button", name=t("key_add")).click()
    await expect(page.get_by_text(t("done_key"))).to_be_visible()


async def _push(person: Person, repository: str, files: dict[str, str]) -> None:
    work = person.home / "shop"
    if not work.exists():
        work.mkdir()
        await person.git(work, "init", "-q", "-b", "main")
    for name, content in files.items():
        (work / name).write_text(content)
    await person.git(work, "add", "-A")
    await person.git(work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "x")
    await person.git(work, "push", "-q", repository, "HEAD:main")


async def _succeeds(page: Page, t: Say) -> None:
    """The page of a deploy shows its success by itself."""
    await page.wait_for_url("**/deploys/*")
    await expect(page.locator("#state .notice.good")).to_contain_text(t("succeeded_title"), timeout=DEPLOY_SECONDS)


async def _read_the_log(page: Page, t: Say, *, javascript: bool) -> None:
    """The whole log is there; a line has an address that leads back to it."""
    if not javascript:
        await expect(page.locator("pre.log")).to_contain_text("==> DEPLOY")
        return
    await expect(page.get_by_text(t("log_ended"))).to_be_visible()
    line = page.locator("job-log .line").first
    address = await line.get_attribute("id")
    await line.click(position={"x": 5, "y": 5})
    assert page.url.endswith(f"#{address}")
    await page.reload()
    await expect(page.locator(f"#{address}.target")).to_be_visible()


async def _set_variable(page: Page, t: Say) -> None:
    await page.locator("nav.tabs a[href$='/variables']").click()
    await page.locator("input[name=name]").fill("GREETING")
    await page.locator("textarea[name=value]").fill("hello")
    await page.get_by_role("button", name=t("save")).click()
    await expect(page.get_by_text(t("done_env"))).to_be_visible()


async def _compare_and_roll_back(page: Page, t: Say, language: str) -> None:
    await page.locator("nav.tabs a[href$='/releases']").click()
    await page.locator("form[action$='/compare'] button").click()
    await expect(page.get_by_role("listitem").filter(has_text="GREETING")).to_contain_text(t("change_ADDED"))
    await picture(page, language, "compare")
    await page.locator("nav.tabs a[href$='/releases']").click()
    await page.get_by_role("button", name=f"{t('rollback')}{t('colon')}1").click()
    await _succeeds(page, t)


async def _delete(page: Page, t: Say) -> None:
    await page.locator("nav.tabs a[href$='/settings']").click()
    await page.locator("a[href$='/delete']").click()
    await page.locator("input[name=typed]").fill("Shop")
    await page.locator("main button.bad").click(timeout=DEPLOY_SECONDS)  # until the app is gone everywhere
    await expect(page.get_by_text(re.compile(f"{t('done_deleted')}|{t('done_deleting')}"))).to_be_visible(timeout=60_000)


async def _drain(page: Page, up: Platform, t: Say, language: str, shop: str) -> None:
    """An admin drains the node with the app while no other can take it: told so, and finds the drain in the audit trail."""
    password = load_secrets(up.layout.secrets_file)[0].admin_password.get_secret_value()
    await page.locator("form[action='/logout'] button").click()
    await _sign_in(page, up, FIRST_ADMIN, password)
    async with _spare_node(up, password) as name:
        await page.goto(f"{up.api_url}/admin/nodes")
        await picture(page, language, "nodes")
        await page.get_by_role("row").filter(has_not_text=name).locator("a[href$='/drain']").click()
        await page.locator("main button.primary").click()
        told = f"{t('audit_of_app', id=shop.rpartition('/')[2])}{t('colon')}{t('stays_NO_RUNTIME_NODE')}"
        await expect(page.get_by_role("listitem").filter(has_text=told)).to_be_visible()
        await page.goto(f"{up.api_url}/admin/nodes")
        await page.get_by_role("row").filter(has_text=name).locator("a[href$='/drain']").click()
        await page.locator("main button.primary").click()
        await expect(page.get_by_text(t("node_drained", moved=0, skipped=0, left=0))).to_be_visible()
    await page.goto(f"{up.api_url}/admin/audit")
    await expect(page.get_by_role("cell", name=t("audit_NODE_DRAINED")).first).to_be_visible()
    await picture(page, language, "audit")


@asynccontextmanager
async def _spare_node(up: Platform, password: str) -> AsyncIterator[str]:
    """The name of a node that has no apps and takes none."""
    anonymous, name = ApiClient(up.api_url), "node-2"
    _, token = await anonymous.login(FIRST_ADMIN, password)
    admin = ApiClient(up.api_url, {"Authorization": f"Bearer {token}"})
    try:
        node = {"name": name, "agentBaseUrl": "http://127.0.0.1:9", "gatewayBaseUrl": "http://127.0.0.1:9", "enabled": False}
        await admin.admin("POST", "upsert", json=node)
        yield name
        await admin.admin("POST", "remove", params={"name": name, "force": "true"})
    finally:
        await anonymous.close()
        await admin.close()


@only_in_full  # tests/service/console has each form without a script
async def test_newcomer_without_javascript_deploys_and_cancels(up: Platform, person: Person) -> None:
    app = await person.app("plain", project(dockerfile=DOCKERFILE.replace("COPY . .", "COPY . .\nRUN sleep 60")))
    async with chromium(locale="zh-CN", java_script_enabled=False) as watched:
        page = await watched.page()
        await _sign_in(page, up, await _name(person))
        await page.get_by_role("link", name="plain").click()
        await page.get_by_role("button", name="部署").click()
        await expect(page.get_by_role("button", name="取消部署")).to_be_visible()
        await page.get_by_role("button", name="取消部署").click()
        job = (await person.api.history(person.user_id, app.id, 1))[0]
        await person.ended(job.id)
        await page.goto(f"{up.api_url}/users/{person.user_id}/apps/{app.id}/deploys/{job.id}")
        await expect(page.locator(".badge").first).to_have_text("已取消")
        watched.check()


async def _name(person: Person) -> str:
    return (await person.api.me()).user_name


@pytest.mark.parametrize(("language", "theme", "pixels"), LOOKS)
@only_in_full  # the walk looks at the pages it is on
async def test_every_page_is_clean_and_accessible(up: Platform, person: Person, language: str, theme: str, pixels: int) -> None:
    """No console message, failed request, policy violation or serious finding of axe, and nothing wider than the screen."""
    app = await person.app("Every page 全部", project())
    job = await person.deploy(app)
    await person.api.set_env(person.user_id, app.id, {"A_NAME": "value"})
    base = f"/users/{person.user_id}/apps/{app.id}"
    mine = [
        "/apps",
        "/apps/new",
        base,
        f"{base}/begin",
        f"{base}/deploys",
        f"{base}/deploys/{job.id}",
        f"{base}/logs",
        f"{base}/usage",
        f"{base}/releases",
        f"{base}/releases/compare?old=1&new=1",
        f"{base}/variables",
        f"{base}/settings",
        f"{base}/stop",
        f"{base}/delete",
        "/queue",
        "/account",
    ]
    admins = ["/admin/nodes", "/admin/runners", "/admin/users", "/admin/apps", "/admin/audit", "/admin/nodes/1/drain"]
    async with chromium(locale=LOCALES[language], viewport=width(pixels)) as watched:
        page = await watched.page()
        await page.goto(f"{up.api_url}/login")
        await page.locator(f"button[name=theme][value={theme}]").click()
        await _look(watched, page, up, ["/login", "/register"])
        await _sign_in(page, up, await _name(person))
        await _look(watched, page, up, mine)
        watched.allowed.add(404)
        await _look(watched, page, up, ["/nothing-here"])
        admin = load_secrets(up.layout.secrets_file)[0].admin_password.get_secret_value()
        await page.locator("form[action='/logout'] button").click()
        await _sign_in(page, up, FIRST_ADMIN, admin)
        await _look(watched, page, up, admins)


async def _look(watched: Watched, page: Page, up: Platform, paths: list[str]) -> None:
    for path in paths:
        await page.goto(up.api_url + path)
        assert await findings(page) == [], path
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the screen"
        watched.check()
