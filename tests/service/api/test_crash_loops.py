"""An app that keeps ending is told to its owner, with how it ended and where to look."""

from __future__ import annotations

from typing import Any

from tests.service.api.platform import Person, Platform

CHINESE, ENGLISH = {"Accept-Language": "zh"}, {"Accept-Language": "en"}


async def shown(person: Person, path: str, app_id: int, headers: dict[str, str] | None = None) -> Any:
    answer = await person.call("GET", path, params={"appId": app_id}, headers=headers or {})
    return answer if isinstance(answer, dict) else next(a for a in answer if a["id"] == app_id)


async def test_a_crash_loop_is_in_every_view_of_the_app(platform: Platform) -> None:
    ada = await platform.person("ada")
    bad, good = await platform.ready(ada, "bad"), await platform.ready(ada, "good")
    platform.node.looping.add(str(bad))
    await platform.heartbeat()
    for path in ("/app/info", "/app/list", "/deploy/app/list"):
        told = await shown(ada, path, bad, ENGLISH)
        assert told["appStatus"] == 3
        assert told["crashLooping"] is True, path
        assert told["runtimeMessage"].endswith(f"funai logs {bad} --runtime")
        assert "反复退出" in (await shown(ada, path, bad, CHINESE))["runtimeMessage"]
        well = await shown(ada, path, good)
        assert well["crashLooping"] is False
        assert "runtimeMessage" not in well
    root = await platform.admin()
    assert (await shown(root, "/admin/apps/list", bad))["crashLooping"] is True


async def test_the_node_tells_how_it_ended_last(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    well = await shown(ada, "/deploy/app/status", app_id)
    assert (well["exists"], well["running"], well["crashLooping"], well["message"]) == (True, True, False, None)
    platform.node.looping.add(str(app_id))
    told = await shown(ada, "/deploy/app/status", app_id, ENGLISH)
    assert (told["running"], told["crashLooping"], told["restartCount"]) == (False, True, 7)
    assert (told["lastExitCode"], told["lastExitAt"], told["nodeName"]) == (3, "2026-01-31T09:00:00.123Z", "n1")
    assert told["message"] == (
        "the app keeps ending and is started again and again (last exit status 3, at 2026-01-31T09:00:00.123Z);"
        f" see what it prints: funai logs {app_id} --runtime"
    )


async def test_somebody_elses_runtime_is_unknown(platform: Platform) -> None:
    ada, bob = await platform.person("ada"), await platform.person("bob")
    app_id = await platform.ready(ada)
    assert await bob.refused("GET", "/deploy/app/status", params={"appId": app_id}) == "404 APP_NOT_FOUND"
    assert await bob.refused("GET", "/deploy/app/usage", params={"appId": app_id}) == "404 APP_NOT_FOUND"


async def test_the_node_tells_what_the_app_used(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    told = await ada.call("GET", "/deploy/app/usage", params={"appId": app_id, "window": "day"})
    assert (told["window"], told["points"][1]["requests"], told["points"][1]["cpuPercent"]) == ("day", 12, 4.5)
    assert await ada.refused("GET", "/deploy/app/usage", params={"appId": app_id, "window": "year"}) == "400 BAD_INPUT"
    new = await ada.app("new")
    assert await ada.refused("GET", "/deploy/app/usage", params={"appId": new}) == "409 APP_NEVER_DEPLOYED"


async def test_a_deploy_that_is_away_or_older_hides_no_app(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    platform.wire.only, platform.wire.cut = "/deploy/apps/overview", 1
    assert "crashLooping" not in await shown(ada, "/app/info", app_id)
    platform.wire.older = True
    assert "crashLooping" not in await shown(ada, "/app/info", app_id)
