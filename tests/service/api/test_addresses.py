"""Where an app is reached is the node's word, also when that changes after the deploy."""

from __future__ import annotations

import pytest

from funai.api.apps import overviews
from tests.service.api.platform import Platform


@pytest.mark.parametrize("older", [False, True])
async def test_apps_follow_their_nodes_public_address(platform: Platform, monkeypatch: pytest.MonkeyPatch, older: bool) -> None:
    monkeypatch.setattr(overviews, "FEW", 2)
    monkeypatch.setattr(overviews, "TOGETHER", 2)
    platform.wire.older = older
    ada = await platform.person("ada")
    ready = [await platform.ready(ada, name) for name in ("a", "b", "c")]
    failed = ready.pop()
    await ada.deploy(failed)
    await platform.finish("FAILED", errorMessage="no", failure={"code": "BUILD_FAILED"})
    assert await ada.status(failed) == 4
    await platform.heartbeat(gateway="https://apps.example.com")
    await platform.core.overviews.sweep()
    for app_id in ready:
        info = await ada.call("GET", "/app/info", params={"appId": app_id})
        assert info["accessUrl"] == info["deployAccessUrl"] == f"https://apps.example.com/runtime/{app_id}/"
    assert (await ada.call("GET", "/app/info", params={"appId": failed}))["deployAccessUrl"] is None


@pytest.mark.parametrize("older", [False, True])
async def test_access_url_is_the_apps_own_name_where_its_node_gives_one(platform: Platform, older: bool) -> None:
    platform.wire.older = older
    ada = await platform.person("ada")
    before = await platform.ready(ada, "before")
    await platform.heartbeat(apps="http://{app}.apps.localhost:8000/")
    later = await platform.ready(ada, "later")
    await platform.core.overviews.sweep()
    for app_id in (before, later):
        info = await ada.call("GET", "/app/info", params={"appId": app_id})
        assert info["accessUrl"] == f"http://{app_id}.apps.localhost:8000/"
        assert info["deployAccessUrl"] == f"http://gw/runtime/{app_id}/"
    job = (await ada.call("GET", "/deploy/job/list"))[0]
    assert (job["deployUrl"], job["accessUrl"]) == (info["deployAccessUrl"], info["accessUrl"])


async def test_many_apps_are_one_question(platform: Platform) -> None:
    ada = await platform.person("ada")
    for name in ("a", "b", "c"):
        await platform.ready(ada, name)
    platform.wire.asked.clear()
    await platform.core.overviews.sweep()
    assert platform.wire.asked == ["/deploy/apps/overview"]


@pytest.mark.parametrize("older", [False, True])
async def test_an_address_that_stayed_changes_nothing(platform: Platform, older: bool) -> None:
    platform.wire.older = older
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    before = await ada.call("GET", "/app/info", params={"appId": app_id})
    await platform.core.overviews.sweep()
    assert await ada.call("GET", "/app/info", params={"appId": app_id}) == before
