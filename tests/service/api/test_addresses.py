"""Where an app is reached is the node's word, also when that changes after the deploy."""

from __future__ import annotations

import pytest

from funai.api.apps import overviews
from tests.service.api.platform import Person, Platform


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


async def test_an_own_domain_is_given_by_the_app_s_owner_alone_and_becomes_its_address(platform: Platform) -> None:
    ada, bob = await platform.person("ada"), await platform.person("bob")
    shop, other = await platform.ready(ada, "shop"), await bob.app("other")
    params, name = {"appId": shop}, "shop.example.com"
    added = await ada.call("POST", "/app/domains", params=params, json={"name": "Shop.example.com."})
    assert (added["name"], added["state"]) == (name, "PENDING")
    for path, method, more in (
        ("/app/domains", "GET", {}),
        ("/app/domains", "POST", {"json": {"name": "b.example.com"}}),
        ("/app/domains/check", "POST", {"json": {"name": name}}),
    ):
        assert await bob.refused(method, path, params=params, **more) == "404 APP_NOT_FOUND"
    assert await bob.refused("DELETE", "/app/domains", params={**params, "name": name}) == "404 APP_NOT_FOUND"
    mine = {"params": {"appId": other}}
    assert await bob.refused("POST", "/app/domains", **mine, json={"name": name}) == "409 DOMAIN_TAKEN"
    assert await bob.refused("POST", "/app/domains", **mine, json={"name": "git.test"}) == "409 DOMAIN_RESERVED"
    assert await bob.refused("POST", "/app/domains", **mine, json={"name": "*.example.com"}) == "400 DOMAIN_INVALID"
    wrong = {"state": "DNS_WRONG", "reason": "DOMAIN_DNS_ELSEWHERE", "details": {"found": "192.0.2.9", "expected": "192.0.2.1"}}
    assert await platform.told_of_domains({"name": name, "appId": shop, **wrong}) == [(name, shop)]
    [shown] = await ada.call("GET", "/app/domains", params=params, headers={"Accept-Language": "en"})
    assert shown["message"] == f"{name} points to 192.0.2.9; change its A/AAAA record to 192.0.2.1 at your DNS provider"
    await platform.told_of_domains({"name": name, "appId": shop, "state": "ACTIVE", "url": f"https://{name}/"})
    await platform.core.overviews.sweep()
    assert (await ada.call("GET", "/app/info", params=params))["accessUrl"] == f"https://{name}/"
    assert (await ada.call("GET", "/deploy/job/list"))[0]["accessUrl"] == f"https://{name}/"
    await ada.call("DELETE", "/app/domains", params={**params, "name": name})
    assert await ada.call("GET", "/app/domains", params=params) == []
    await platform.core.overviews.sweep()
    assert (await ada.call("GET", "/app/info", params=params))["accessUrl"] == f"http://gw/runtime/{shop}/"
    await ada.call("POST", "/app/domains", params=params, json={"name": name})
    await ada.call("POST", "/app/delete", params=params)
    await bob.call("POST", "/app/domains", **mine, json={"name": name})


async def test_an_app_has_a_readable_alias_that_stays_and_is_nobody_else_s(platform: Platform) -> None:
    await platform.heartbeat(apps="http://{app}.apps.localhost:8000/")
    ada, bob = await platform.person("ada"), await platform.person("a-ada")
    shop, odd = await platform.ready(ada, "shop a"), await platform.ready(ada, "商店")
    same = await platform.ready(bob, "shop")  # shop-a-ada too
    await platform.core.overviews.sweep()

    async def alias(person: Person, app_id: int) -> str | None:
        info = await person.call("GET", "/app/info", params={"appId": app_id})
        assert info["accessUrl"] == f"http://{app_id}.apps.localhost:8000/"
        return info.get("aliasUrl")

    assert await alias(ada, shop) == "http://shop-a-ada.apps.localhost:8000/"
    assert (await alias(ada, odd), await alias(bob, same)) == (None, None)
    assert ("shop-a-ada", shop) in await platform.told_of_domains()
    await ada.call("POST", "/app/update-basic", params={"appId": shop}, json={"appName": "other"})
    await platform.core.overviews.sweep()
    assert await alias(ada, shop) == "http://shop-a-ada.apps.localhost:8000/"
