"""Where an app is reached is the node's word, also when that changes after the deploy."""

from __future__ import annotations

import pytest

from funai.api import tracker
from tests.service.api.platform import Platform


async def test_apps_follow_their_nodes_public_address(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "FEW", 2)
    ada = await platform.person("ada")
    ready = [await platform.ready(ada, name) for name in ("a", "b", "c")]
    failed = ready.pop()
    await ada.deploy(failed)
    await platform.finish("FAILED", errorMessage="no", failure={"code": "BUILD_FAILED"})
    assert await ada.status(failed) == 4
    await platform.heartbeat(gateway="https://apps.example.com")
    await platform.core.tracker.addresses()
    for app_id in ready:
        info = await ada.call("GET", "/app/info", params={"appId": app_id})
        assert info["accessUrl"] == info["deployAccessUrl"] == f"https://apps.example.com/runtime/{app_id}/"
    assert (await ada.call("GET", "/app/info", params={"appId": failed}))["deployAccessUrl"] is None


async def test_an_address_that_stayed_changes_nothing(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    before = await ada.call("GET", "/app/info", params={"appId": app_id})
    await platform.core.tracker.addresses()
    assert await ada.call("GET", "/app/info", params={"appId": app_id}) == before
