"""What a hostile tenant, or another site, can't do to the console and the people at it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html import unescape

import httpx
import pytest

from funai.console import main as console_main
from tests.service.api.platform import PASSWORD
from tests.service.console.site import OWN, Browser, Site

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdLBSsfHyu8HvTbEhPGtGy8SvKxqH"
MARKUP = "<img src=x onerror=alert(1)>\"'{{7*7}}"


async def test_markup_in_tenants_strings_stays_text(site: Site, ada: Browser) -> None:
    await ada.open("/apps/new")
    await ada.send("/apps/new", name=MARKUP, description=MARKUP)
    base = ada.last.url.path.removesuffix("/begin")
    await ada.send(f"{base}/deploys", git_ref="main")
    deploy, job = ada.last.url.path, await site.platform.claim()
    body = {
        "runnerId": "r1",
        "offset": 0,
        "chunk": f"{MARKUP}</pre><script>alert(1)</script>\n",
        "leaseToken": job["leaseToken"],
    }
    await site.platform.inside.post(f"/deploy/jobs/{job['id']}/logs", json=body)
    beat = {"runnerId": "r1", "phase": "BUILD", "phaseMessage": MARKUP, "leaseToken": job["leaseToken"]}
    await site.platform.inside.post(f"/deploy/jobs/{job['id']}/heartbeat", json=beat)
    pages = [deploy, base, f"{base}/settings", f"{base}/delete", "/apps", "/queue"]
    seen = [await ada.open(page) for page in pages]
    await site.platform.report(
        job, "FAILED", errorMessage=f"{MARKUP}\n{MARKUP}", failure={"code": "BUILD_FAILED", "blame": "user"}
    )
    seen += [await ada.open(page) for page in pages]
    await ada.open("/account")
    seen.append(await ada.send("/account/keys", title=MARKUP, public_key=KEY))
    await site.platform.admin("root")
    root = site.browser()
    await root.send("/login", user_name="root", password=PASSWORD)
    seen += [await root.open(page) for page in ("/admin/audit", "/admin/apps", "/admin/users", "/queue", base)]
    assert MARKUP in unescape(seen[-5]), "the trail names the app"
    for text in seen:
        assert "<img src=x" not in text
        assert "<script>" not in text
        assert "49" not in text.partition("onerror")[2][:40]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "same"},
    ],
)
async def test_change_from_elsewhere_is_refused(site: Site, ada: Browser, headers: dict[str, str]) -> None:
    sent = {k: site.url if v == "same" else v for k, v in headers.items()}
    await ada.open("/apps/new")
    for path in ("/apps/new", "/logout", "/preferences", "/login", "/register", "/account/api-key"):
        await ada.send(path, headers=sent, name="x", user_name="mallory", password="correct horse")
        assert ada.last.status_code == 403, path
    assert "No apps yet." in await ada.open("/apps")


async def test_change_with_an_origin_of_our_own_works(site: Site, ada: Browser) -> None:
    await ada.open("/apps/new")
    await ada.send("/apps/new", headers={"Origin": site.url}, name="x")
    assert ada.last.status_code == 200


async def test_change_without_the_sessions_form_token_is_refused(site: Site, ada: Browser) -> None:
    other = site.browser()
    await other.sign_up("eve")
    await other.open("/apps/new")
    for token in ("", "0" * 64, other.token):
        await ada.send("/apps/new", token=token, name="x")
        assert ada.last.status_code == 403
    assert "No apps yet." in await ada.open("/apps")


async def test_foreign_app_is_not_there(site: Site, ada: Browser) -> None:
    await ada.open("/apps/new")
    await ada.send("/apps/new", name="Shop")
    base = ada.last.url.path.removesuffix("/begin")
    await ada.send(f"{base}/deploys", git_ref="main")
    deploy = ada.last.url.path
    eve = site.browser()
    await eve.sign_up("eve")
    await eve.open("/apps/new")
    token = eve.token
    for page in ("", "/begin", "/state", "/deploys", "/logs", "/releases", "/variables", "/settings", "/delete", "/stop"):
        await eve.open(base + page)
        assert eve.last.status_code in (403, 404), page
    for page in ("", "/state", "/log", "/log.txt", "/events"):
        await eve.open(deploy + page)
        assert eve.last.status_code in (403, 404), page
    mine = base.replace("/users/1/", "/users/2/")
    for page in ("", "/log", "/log.txt", "/events"):
        await eve.open(mine + deploy.removeprefix(base) + page)
        assert eve.last.status_code in (403, 404), page
    for page in (
        "/deploys",
        "/variables",
        "/settings",
        "/start",
        "/stop",
        "/delete",
        "/rollback",
        deploy.removeprefix(base) + "/cancel",
    ):
        await eve.send(base + page, token=token, name="A", value="b", typed="Shop", release=1)
        assert eve.last.status_code in (403, 404), page


async def test_answers_carry_the_headers_that_protect_them(site: Site, ada: Browser) -> None:
    for path in ("/login", "/apps", "/nothing", "/static/x/console.css"):
        await ada.open(path)
        headers = ada.last.headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
    first, second = (ada.last.headers["content-security-policy"] for _ in (await ada.open("/apps"), await ada.open("/apps")))
    assert first == second  # the same answer read twice
    await ada.open("/apps")
    assert ada.last.headers["content-security-policy"] != first


async def test_session_cookie_is_out_of_reach_and_new_at_each_sign_in(site: Site, ada: Browser) -> None:
    planted = site.browser()
    planted.http.cookies.set("funai_session", "x.y.z")
    await planted.sign_up("bob")
    cookie = planted.last.history[0].headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert "x.y.z" not in cookie


async def test_odd_session_cookies_are_no_session(site: Site) -> None:
    for value in ("", "a b", "x" * 5000, "\xff", "a;b", "../.."):
        browser = site.browser()
        answer = await browser.http.get("/apps", headers={b"Cookie": b"funai_session=" + value.encode("latin-1")})  # type: ignore[dict-item]
        assert answer.status_code == 200
        assert "Sign in" in answer.text


async def test_form_of_any_size_is_not_read(site: Site, ada: Browser) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"name="
        for _ in range(64):
            yield b"x" * 65_536

    form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    stand_alone = httpx.ASGITransport(console_main.alone(site.url))
    async with httpx.AsyncClient(transport=stand_alone, base_url=site.url, cookies=ada.http.cookies) as alone:
        for client in (ada.http, alone):
            answer = await client.post("/apps/new", content=parts(), headers=form)
            assert answer.status_code == 413, answer.text
            assert "TOO_LARGE" in answer.text
    assert "No apps yet." in await ada.open("/apps")


async def test_descriptions_scripts_of_another_server_have_an_origin_of_their_own(site: Site) -> None:
    browser = site.browser()
    for page in ("/docs", "/redoc"):
        await browser.open(page)
        assert browser.last.status_code == 200
        policy = browser.last.headers["content-security-policy"]
        assert policy.startswith("sandbox allow-scripts ")
        assert "allow-same-origin" not in policy
    await browser.open("/openapi.json")
    assert browser.last.headers["access-control-allow-origin"] == "*"
    await browser.open("/login")
    assert "sandbox" not in browser.last.headers["content-security-policy"]


async def test_apis_own_paths_are_not_the_consoles(site: Site) -> None:
    browser = site.browser()
    answer = await browser.http.get("/api/fun-ai/nothing")
    assert answer.json()["reason"] == "NOT_FOUND"
    answer = await browser.http.post("/api/fun-ai/user/me", headers=OWN)
    assert answer.json()["reason"] == "METHOD_NOT_ALLOWED"
