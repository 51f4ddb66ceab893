"""The registry of apps, their variables, and their end."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select, update

from funai.api.tables import apps
from tests.parts.waiting import eventually
from tests.service.api.platform import Platform


async def test_default_names_fill_the_gaps(platform: Platform) -> None:
    ada = await platform.person("ada")
    first = await ada.call("GET", "/app/create", params={"userId": ada.id})
    second = await ada.call("POST", "/app/create")
    assert (first["appName"], second["appName"]) == ("未命名应用1", "未命名应用2")
    assert (first["appStatus"], first["repoSshUrl"]) == (0, f"ssh://git@git.test:2222/funai/u{ada.id}-app{first['id']}.git")
    await ada.call("GET", "/app/delete", params={"userId": ada.id, "appId": first["id"]})
    third = await ada.call("POST", "/app/create", json={"appName": "  "})
    assert third["appName"] == "未命名应用1"
    assert third["id"] > second["id"]


async def test_an_id_is_never_given_twice(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    gone = await ada.app()
    await ada.call("POST", "/app/delete", params={"appId": gone})
    assert await ada.app() > gone


async def test_names_that_will_not_do(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    for name in ("", " ", "x" * 65, "a\u0000b", "a\nb", "\u202d\u0007", "gpj\u202e.exe", "a\u2066b", "a\u200bb", "\u200d"):
        body = {"appId": app_id, "appName": name}
        assert await ada.refused("POST", "/app/update-basic", json=body) == "400 APP_NAME_INVALID", name
    for name in ("我的商城 2", "👩\u200d💻 shop", "🏴\U000e0067\U000e0062\U000e007f", "نمایش\u200cگر", "❤️"):
        body = {"appId": app_id, "appName": name}
        assert (await ada.call("POST", "/app/update-basic", json=body))["appName"] == name


async def test_update_basic(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app("one")
    await ada.app("two")
    done = await ada.call("POST", "/app/update-basic", json={"id": app_id, "appName": "shop", "description": "sells"})
    assert (done["appName"], done["description"]) == ("shop", "sells")
    done = await ada.call("POST", "/app/update-basic", params={"appId": app_id}, json={"description": "buys"})
    assert (done["appName"], done["description"]) == ("shop", "buys")
    platform.core.apps.longest = 4
    long = await ada.refused("POST", "/app/update-basic", params={"appId": app_id}, json={"description": "sells"})
    assert long == "400 BAD_INPUT"
    body = {"appId": app_id, "appName": "two"}
    assert await ada.refused("POST", "/app/update-basic", json=body) == "409 APP_NAME_TAKEN"
    assert await ada.refused("POST", "/app/update-basic", json={"appName": "x"}) == "400 BAD_INPUT"


async def test_deleting_takes_everything_along(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada, "shop")
    await ada.call("PUT", "/app/env", params={"appId": app_id}, json={"A": "1"})
    done = await ada.call("POST", "/app/delete", params={"userId": ada.id, "appId": app_id})
    assert (done["appId"], done["complete"]) == (app_id, True)
    assert all(s["ok"] for s in done["steps"])
    assert {"jobs", "container", "rows", "repository"} <= {s["step"] for s in done["steps"]}
    assert ("delete", str(app_id)) in platform.node.calls
    assert platform.repos.made == set()
    assert await ada.refused("GET", "/app/info", params={"appId": app_id}) == "404 APP_NOT_FOUND"
    jobs = await platform.inside.get("/deploy/jobs", params={"limit": 10}, headers={"X-DEPLOY-SECRET": "deploy-secret"})
    assert jobs.json()["data"] == []
    assert await ada.app("shop") > app_id


async def test_deleting_while_deploying_cancels_first(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.deploy(app_id)
    await platform.claim()
    done = await ada.call("POST", "/app/delete", params={"appId": app_id})
    assert done["complete"] is True
    assert ("delete", str(app_id)) in platform.node.calls
    assert await ada.call("GET", "/app/list") == []
    # The build may still have started something a moment later: it is cleaned once more.
    await _make_due(platform, app_id)
    await eventually(lambda: _gone(platform, app_id), seconds=5)
    assert platform.node.calls.count(("delete", str(app_id))) >= 2


async def test_what_fails_is_reported_and_retried(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    platform.node.broken.add("delete")
    platform.repos.away = True
    done = await ada.call("POST", "/app/delete", params={"appId": app_id})
    assert done["complete"] is False
    assert {"container", "repository"} <= {s["step"] for s in done["steps"] if not s["ok"]}
    assert await ada.refused("POST", "/app/delete", params={"appId": app_id}) == "404 APP_NOT_FOUND"
    assert await ada.call("GET", "/app/list") == []
    platform.node.broken.clear()
    platform.repos.away = False
    await _make_due(platform, app_id)
    await eventually(lambda: _gone(platform, app_id), seconds=5)
    assert platform.repos.made == set()
    assert str(app_id) not in platform.node.running


async def test_deploy_away_at_delete_is_retried_too(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    platform.wire.only, platform.wire.cut = "/deploy/apps/cleanup", 1
    assert (await ada.call("POST", "/app/delete", params={"appId": app_id}))["complete"] is False
    await _make_due(platform, app_id)
    await eventually(lambda: _gone(platform, app_id), seconds=5)


async def test_variables_are_set_masked_and_unset(platform: Platform) -> None:
    ada = await platform.person("ada")
    at = {"params": {"appId": await ada.app()}}
    masked = await ada.call("PUT", "/app/env", json={"B": "two", "A": "一"}, **at)
    assert masked == [{"name": name, "value": "******", "secret": False} for name in ("A", "B")]
    assert await ada.call("GET", "/app/env", **at) == masked
    left = await ada.call("DELETE", "/app/env", params={**at["params"], "name": ["A", "Z"]})
    assert [v["name"] for v in left] == ["B"]
    stored = Path(platform.settings.datasource_url.removeprefix("sqlite:///"))
    assert b"two" not in b"".join(p.read_bytes() for p in stored.parent.glob("api.db*"))


async def test_variables_of_builds_are_told_and_forgotten_with_their_mark(platform: Platform) -> None:
    ada = await platform.person("ada")
    at = {"appId": await ada.app()}
    public = {"name": "VITE_A", "value": "******", "secret": False, "build": True}
    assert await ada.call("PUT", "/app/env", params={**at, "build": "true"}, json={"VITE_A": "1"}) == [public]
    assert (await ada.call("PUT", "/app/env", params=at, json={"VITE_A": "2", "B": "3"}))[1] == public
    await ada.call("DELETE", "/app/env", params={**at, "name": ["VITE_A"]})
    again = await ada.call("PUT", "/app/env", params=at, json={"VITE_A": "4"})
    assert again == [{"name": n, "value": "******", "secret": False} for n in ("B", "VITE_A")]


async def test_set_env_with_a_mark_keeps_it_until_it_is_taken_away(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()

    async def put(values: dict[str, str], **how: str) -> list[str]:
        found = await ada.call("PUT", "/app/env", params={"appId": app_id, **how}, json=values)
        return [v["name"] for v in found if v["secret"]]

    assert await put({"A": "1", "B": "2"}, secret="true") == ["A", "B"]
    assert await put({"A": "3", "C": "4"}) == ["A", "B"]
    await ada.deploy(app_id)
    assert (await platform.claim())["payload"]["secretEnv"] == ["A", "B"]
    assert await put({"A": "3"}, secret="false") == ["B"]
    await ada.call("DELETE", "/app/env", params={"appId": app_id, "name": "B"})
    assert await put({"B": "again"}) == []


async def test_variables_that_will_not_do(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    bad = [{"PORT": "1"}, {"1A": "x"}, {"A=B": "x"}, {"A": "x\u0000"}, {"A": "x" * 70_000}, {f"V{n}": "" for n in range(101)}]
    for values in bad:
        assert (await ada.refused("PUT", "/app/env", params={"appId": app_id}, json=values)).startswith("400"), values


async def test_without_a_key_file_variables_are_switched_off(tmp_path: Path) -> None:
    running = Platform(tmp_path)
    async with running.running() as platform:
        ada = await platform.person("ada")
        app_id = await ada.app()
        platform.core.variables._sealer = None
        assert await ada.refused("PUT", "/app/env", params={"appId": app_id}, json={"A": "1"}) == "409 ENV_DISABLED"
        assert (await ada.deploy(app_id))["status"] == "PENDING"


async def test_messages_come_in_the_readers_language(platform: Platform) -> None:
    ada = await platform.person("ada")
    words = {
        language: (await ada.raw("GET", "/app/info", params={"appId": 9}, headers={"Accept-Language": language})).json()[
            "message"
        ]
        for language in ("zh-CN", "en-GB", "")
    }
    assert words == {"zh-CN": "应用不存在", "en-GB": "no such app", "": "应用不存在"}
    english = {"Accept-Language": "en"}
    unknown = (await ada.raw("GET", "/deploy/job/info", params={"jobId": 9}, headers=english)).json()
    assert unknown["message"] == "no such job"


async def _make_due(platform: Platform, app_id: int) -> None:
    async with platform.core.db.write() as conn:
        await conn.execute(update(apps).where(apps.c.id == app_id).values(delete_next=0))


async def _gone(platform: Platform, app_id: int) -> bool:
    return await platform.core.db.fetch_one(select(apps.c.id).where(apps.c.id == app_id)) is None
