"""Pages as a browser without JavaScript meets them: the real API and Deploy behind."""

from __future__ import annotations

import re

from tests.service.console.site import Browser, Site


async def _app(ada: Browser, name: str = "Shop") -> str:
    """Makes an app; answers the path of its pages."""
    await ada.open("/apps/new")
    await ada.send("/apps/new", name=name)
    found = re.search(r"(/users/\d+/apps/\d+)/begin", str(ada.last.url))
    assert found, ada.words
    return found.group(1)


async def test_page_without_a_session_leads_to_sign_in_and_back(site: Site) -> None:
    browser = site.browser()
    assert "Sign in" in await browser.open("/queue")
    assert 'name="next" value="/queue"' in browser.last.text
    await browser.sign_up("bob")
    await browser.send("/logout")
    await browser.send("/login", user_name="bob", password="correct horse", next="/queue")
    assert browser.last.url.path == "/queue"


async def test_first_visit_shows_what_to_do_next(ada: Browser) -> None:
    assert "No apps yet." in await ada.open("/apps")
    assert 'href="/apps/new"' in ada.last.text


async def test_sign_in_with_a_wrong_password_says_why_and_keeps_the_name(site: Site) -> None:
    browser = site.browser("zh")
    await browser.send("/login", user_name="nobody", password="wrong wrong")
    assert browser.last.status_code == 401
    assert "BAD_CREDENTIALS" in browser.words
    assert 'value="nobody"' in browser.last.text
    assert "登录" in browser.words


async def test_new_app_leads_through_push_to_deploy(site: Site, ada: Browser) -> None:
    base = await _app(ada)
    assert "git push funai HEAD:main" in ada.words
    assert "you have none registered yet" in ada.words
    await ada.send(f"{base}/deploys", git_ref="main")
    assert "It is next in line." in ada.words
    await site.platform.finish()
    await ada.open(str(ada.last.url))
    assert "The deploy succeeded" in ada.words
    assert "Release" in await ada.open(f"{base}/releases")
    assert "#1" in ada.words


async def test_failed_deploy_says_whose_fault_and_what_to_do(site: Site, ada: Browser) -> None:
    base = await _app(ada)
    await ada.send(f"{base}/deploys", git_ref="main")
    page = ada.last.url.path
    failure = {"code": "BUILD_FAILED", "blame": "user"}
    await site.platform.finish("FAILED", errorMessage="the build failed (exit status 1)\nnpm ERR! <script>", failure=failure)
    await ada.open(page)
    assert "BUILD_FAILED" in ada.words
    assert "The cause is in the app's code or settings." in ada.words
    assert "Read the first error" in ada.words
    assert "npm ERR! &lt;script&gt;" in ada.last.text


async def test_failure_after_a_success_says_what_serves_and_only_while_it_is_the_last(site: Site, ada: Browser) -> None:
    base, pages = await _app(ada), list[str]()
    for status in ("SUCCEEDED", "FAILED", "SUCCEEDED"):
        await ada.open(base)
        await ada.send(f"{base}/deploys", git_ref="main")
        pages.append(ada.last.url.path)
        failure = {"errorMessage": "no", "failure": {"code": "BUILD_FAILED", "blame": "user"}} if status == "FAILED" else {}
        if len(pages) > 1:
            await ada.open("/apps")
            assert "Running Deploying" in ada.words
        await site.platform.finish(status, **failure)
        await ada.open(pages[-1])
        if status == "FAILED":
            assert "The version before it still serves." in ada.words
            await ada.open("/apps")
            assert "Running Last deploy failed" in ada.words
            await ada.open(base)
            assert "not running" not in ada.words.partition("What serves")[0]
    await ada.open(pages[1])
    assert "The deploy failed" in ada.words
    assert "still serves" not in ada.words


async def test_job_log_is_on_the_page_and_as_a_file(site: Site, ada: Browser) -> None:
    base = await _app(ada)
    await ada.send(f"{base}/deploys", git_ref="main")
    page, job = ada.last.url.path, await site.platform.claim()
    text = "".join(f"line {i} 行\n" for i in range(3000))
    body = {"runnerId": "r1", "offset": 0, "chunk": text, "leaseToken": job["leaseToken"]}
    assert (await site.platform.inside.post(f"/deploy/jobs/{job['id']}/logs", json=body)).status_code == 200
    await site.platform.report(job)
    shown = await ada.open(page)
    assert "line 2999 行" in shown
    assert "line 1999 行" not in shown
    begin = int(re.search(r'data-begin="(\d+)"', shown).group(1))  # type: ignore[union-attr]
    end = int(re.search(r'data-end="(\d+)"', shown).group(1))  # type: ignore[union-attr]
    assert text.encode()[begin:end].decode().startswith("line 2000 行\n")
    piece = (await ada.http.get(f"{page}/log", params={"begin": 0})).json()
    assert piece["chunk"].startswith("line 0 行\n")
    assert await ada.open(f"{page}/log.txt") == text
    assert "attachment" in ada.last.headers["content-disposition"]


async def test_variables_are_set_and_never_shown(ada: Browser) -> None:
    base = await _app(ada)
    await ada.open(f"{base}/variables")
    await ada.send(f"{base}/variables", name="API_URL", value="s3cret-value")
    assert "API_URL" in ada.words
    assert "s3cret-value" not in ada.last.text
    await ada.send(f"{base}/variables", name="not a name", value="x")
    assert ada.last.status_code == 400
    await ada.send(f"{base}/variables/remove", name="API_URL")
    assert "No variables." in ada.words


async def test_app_is_deleted_only_when_its_name_is_typed(ada: Browser) -> None:
    base = await _app(ada)
    await ada.open(f"{base}/delete")
    assert "can't be brought back" in ada.words
    await ada.send(f"{base}/delete", typed="other")
    assert "The name you typed is not the app's" in ada.words
    await ada.send(f"{base}/delete", typed="Shop")
    assert "The app is deleted" in ada.words
    assert (await ada.http.get(base)).status_code == 404


async def test_releases_compare_and_roll_back(site: Site, ada: Browser) -> None:
    base = await _app(ada)
    for port, values in ((3000, {"GREETING": "hello", "GONE": "1"}), (8080, {"GREETING": "s3cret-now", "NEW": "2"})):
        await ada.open(f"{base}/variables")
        for name, value in values.items():
            await ada.send(f"{base}/variables", name=name, value=value)
        if port == 8080:
            await ada.send(f"{base}/variables/remove", name="GONE")
        await ada.open(base)
        await ada.send(f"{base}/deploys", git_ref="main")
        image = {"image": "registry.test:5000/x", "digest": "sha256:" + "a" * 64, "containerPort": port}
        await site.platform.finish(result=image)
    await ada.open(f"{base}/releases/compare?old=1&new=2")
    assert "3000 8080 changed" in ada.words
    assert "GONE removed GREETING value changed NEW added" in ada.words
    assert "s3cret-now" not in ada.last.text
    await ada.open(f"{base}/releases/compare?old=2&new=2")
    assert "The variables are the same." in ada.words
    await ada.open(f"{base}/releases")
    await ada.send(f"{base}/rollback", release=1)
    assert "/deploys/" in ada.last.url.path
    back = ada.last.url.path
    await site.platform.finish()
    assert f'action="{base}/rollback"' in await ada.open(back), "deploying a rollback again rolls back again"
    await ada.open(f"{base}/releases/compare?old=1&new=9")
    assert ada.last.status_code == 404


async def test_refusal_names_reason_and_next_step(ada: Browser) -> None:
    base = await _app(ada)
    await ada.send(f"{base}/deploys", git_ref="main")
    await ada.open(base)
    await ada.send(f"{base}/deploys", git_ref="main")
    assert ada.last.status_code == 409
    assert "APP_DEPLOYING" in ada.words
    assert "Wait for the deploy under way" in ada.words


async def test_language_and_theme_are_kept_in_the_browser(ada: Browser) -> None:
    await ada.open("/apps")
    await ada.send("/preferences", language="zh", next="/apps")
    assert "我的应用" in ada.words
    await ada.send("/preferences", theme="dark", next="//evil.example/x")
    assert ada.last.url.path == "/apps"
    assert 'data-theme="dark"' in ada.last.text


async def test_admin_pages_are_an_admins(site: Site, ada: Browser) -> None:
    await ada.open("/admin/nodes")
    assert ada.last.status_code == 403
    await site.platform.admin("root")
    root = site.browser()
    await root.send("/login", user_name="root", password="correct horse")
    assert "n1" in await root.open("/admin/nodes")
    await root.send("/admin/nodes/enabled", name="n1", enabled="false")
    assert "The node is updated." in root.words
    for page, word in (("runners", "No runner has called"), ("users", "ada"), ("apps", "No apps yet.")):
        assert word in await root.open(f"/admin/{page}"), page
    await root.open("/admin/nodes/1/drain")
    await root.send("/admin/nodes/1/drain")
    assert "0 apps placed elsewhere" in root.words
    assert "<html" not in await root.open("/admin/nodes/1/drain/state")
    await root.open("/admin/nodes/99/drain/state")
    assert root.last.status_code == 404
    await root.open("/admin/users")
    await root.send("/admin/users/disabled", user=1, disabled="true")
    await ada.open("/apps")
    assert "Sign in" in ada.words
    await root.open("/admin/audit")
    assert "root #2 admin Disabled an account ada of user #1 127.0.0.1" in root.words
    assert "Disabled a node n1" in root.words
    await root.open("/admin/audit?action=SIGNED_UP")
    assert "ada #1 Signed up 127.0.0.1" in root.words
    assert "Disabled a node n1" not in root.words
    for nothing in ("action=NO_SUCH", "actor=eve", "app=x", "app=77", "before=1"):
        assert "No entry matches." in await root.open(f"/admin/audit?{nothing}"), nothing


async def test_account_keeps_keys_api_key_and_password(ada: Browser) -> None:
    await ada.open("/account")
    await ada.send("/account/keys", title="laptop", public_key="nonsense")
    assert ada.last.status_code == 400
    assert "KEY_INVALID" in ada.words
    await ada.send("/account/api-key")
    assert "This key is shown only now:" in ada.words
    await ada.send("/account/password", old="wrong", new="another horse")
    assert ada.last.status_code >= 400
    await ada.open("/account")
    await ada.send("/account/password", old="correct horse", new="another horse")
    assert "The password is changed" in ada.words
    assert "My apps" in await ada.open("/apps")


async def test_usage_is_drawn_from_a_table(site: Site, ada: Browser) -> None:
    base = await _app(ada)
    await ada.open(f"{base}/usage")
    assert "No successful deploy yet." in ada.words
    await ada.open(f"{base}/begin")
    await ada.send(f"{base}/deploys", git_ref="main")
    await site.platform.finish()
    page = await ada.open(f"{base}/usage?window=week")
    assert 'data-v="12"' in page
    assert "4.5 %" in ada.words
    assert ada.words.count("Nothing was measured in this time.") == 3


async def test_app_without_a_success_has_empty_pages_and_nothing_to_start(site: Site, ada: Browser) -> None:
    base = await _app(ada)
    begin = ada.token
    for page in ("/logs", "/usage", "/releases"):
        await ada.open(base + page)
        assert "No successful deploy yet." in ada.words, page
        assert "notice bad" not in ada.last.text, page
    await ada.send(f"{base}/deploys", git_ref="main", token=begin)
    await site.platform.finish("FAILED", errorMessage="no", failure={"code": "BUILD_FAILED", "blame": "user"})
    assert f'action="{base}/start"' not in await ada.open(base)
    await ada.send(f"{base}/deploys", git_ref="main")
    await site.platform.finish()
    await ada.open(f"{base}/stop")
    await ada.send(f"{base}/stop")
    assert f'action="{base}/start"' in await ada.open(base)
