"""The console in a real Chromium, against a real platform."""

from __future__ import annotations

import re
from itertools import product

import pytest
from playwright.async_api import Page, expect

from funai.standalone.layout import FIRST_ADMIN, ensure_key, load_secrets
from tests.e2e.up.browser import Watched, chromium, findings, width
from tests.e2e.up.world import DOCKERFILE, Person, Platform, project
from tests.parts.extent import extent

PASSWORD = "correct horse battery"
DEPLOY_SECONDS = 120_000
"""Milliseconds that a deploy may take on a busy machine."""
LOOKS = extent([("zh", "dark", 360)], list(product(("zh", "en"), ("light", "dark"), (360, 1280))))
"""Every language, theme and width once, or every combination."""
expect.set_options(timeout=30_000)
BROKEN = DOCKERFILE.replace("COPY . .", "COPY . .\nRUN echo a-telling-line && false")


async def _sign_in(page: Page, up: Platform, name: str, password: str = PASSWORD) -> None:
    await page.goto(f"{up.api_url}/login")
    await page.locator("input[name=user_name]").fill(name)
    await page.locator("input[name=password]").fill(password)
    await page.locator("main button.primary").click()
    await page.wait_for_url("**/apps")


async def test_newcomer_signs_up_deploys_breaks_mends_and_rolls_back(up: Platform, person: Person) -> None:
    """The way of a newcomer; ``person`` is only used to push with git."""
    async with chromium(locale="en-US", viewport=width(1280)) as watched:
        page = await watched.page()
        name = f"new-{person.user_id}"
        await page.goto(f"{up.api_url}/register")
        await page.locator("input[name=user_name]").fill(name)
        await page.locator("input[name=password]").fill(PASSWORD)
        await page.get_by_role("button", name="Sign up").click()
        await expect(page.get_by_role("heading", name="No apps yet.")).to_be_visible()
        await person.api.remove_key((await person.api.keys())[0].id)  # the newcomer pushes with the same key
        await _register_key(page, ensure_key(person.home / "id_ed25519", "t"), up)
        await page.get_by_role("link", name="Apps", exact=True).click()
        await page.get_by_role("link", name="New app").click()
        await page.get_by_label("Name").fill("Shop")
        await page.get_by_role("button", name="New app").click()
        repository = re.search(r"ssh://\S+", await page.locator(".command pre").inner_text())
        assert repository
        await _push(person, repository.group(), project("one"))
        await _deploy(page)
        await expect(page.get_by_text("The deploy succeeded")).to_be_visible(timeout=DEPLOY_SECONDS)
        await expect(page.locator("job-log .line").first).to_be_visible()
        await expect(page.get_by_text("End of log")).to_be_visible(timeout=30_000)
        await _push(person, repository.group(), project("two", dockerfile=BROKEN))
        await page.get_by_role("button", name="Deploy again").click()
        await expect(page.get_by_text("The deploy failed")).to_be_visible(timeout=DEPLOY_SECONDS)
        await expect(page.get_by_text("The cause is in the app's code or settings.")).to_be_visible()
        await expect(page.locator("pre.lines")).to_contain_text("a-telling-line")
        await _push(person, repository.group(), project("three"))
        await page.get_by_role("button", name="Deploy again").click()
        await expect(page.get_by_text("The deploy succeeded")).to_be_visible(timeout=DEPLOY_SECONDS)
        await page.get_by_role("link", name="Releases").click()
        await page.get_by_role("button", name="Roll back to this: 1").click()
        await expect(page.get_by_text("The deploy succeeded")).to_be_visible(timeout=DEPLOY_SECONDS)
        await page.get_by_role("link", name="Variables").click()
        await page.get_by_label("Name").fill("GREETING")
        await page.get_by_label("Value").fill("hello")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_text("Saved; in force from the next deploy")).to_be_visible()
        await _delete(page)
        watched.check()


async def _register_key(page: Page, public_key: str, up: Platform) -> None:
    await page.goto(f"{up.api_url}/account")
    await page.get_by_label("Public key (what is in the .pub file)").fill(public_key)
    await page.get_by_role("button", name="Register a key").click()
    await expect(page.get_by_text("The key is registered.")).to_be_visible()


async def _push(person: Person, repository: str, files: dict[str, str]) -> None:
    work = person.home / "shop"
    if not work.exists():
        work.mkdir()
        await person.git(work, "init", "-q", "-b", "main")
    for name, text in files.items():
        (work / name).write_text(text)
    await person.git(work, "add", "-A")
    await person.git(work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "-m", "x")
    await person.git(work, "push", "-q", repository, "HEAD:main")


async def _deploy(page: Page) -> None:
    await page.get_by_role("button", name="Deploy", exact=True).first.click()
    await page.wait_for_url("**/deploys/*")


async def _delete(page: Page) -> None:
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_role("link", name="Delete").click()
    await page.get_by_label("Type the app's name to confirm").fill("Shop")
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("The app is deleted")).to_be_visible(timeout=60_000)


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
    locale = "en-US" if language == "en" else "zh-CN"
    async with chromium(locale=locale, viewport=width(pixels)) as watched:
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
