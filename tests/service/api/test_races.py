"""What must hold when requests race, on each database."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from tests.parts.waiting import eventually
from tests.service.api.platform import PASSWORD, Person, Platform, Refused


async def outcome(work: Any) -> str:
    try:
        await work
    except Refused as e:
        return str(e)
    return "ok"


async def race(*works: Any) -> Counter[str]:
    return Counter(await asyncio.gather(*(outcome(w) for w in works)))


async def test_of_many_deploys_three_get_a_slot(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    apps = [await ada.app() for _ in range(6)]
    assert await race(*(ada.deploy(a) for a in apps)) == {"ok": 3, "409 QUOTA_RUNNING_APPS": 3}
    jobs = await ada.call("GET", "/deploy/job/list")
    assert len(jobs) == 3

    # Each slot that comes free is given once, and an app that holds one may redeploy.
    done = await platform_on.finish("FAILED", errorMessage="boom")
    app_id = done["payload"]["appId"]
    assert await ada.status(app_id) == 4
    waiting = [a for a in apps if await ada.status(a) == 0]
    assert await race(*(ada.deploy(a) for a in waiting)) == {"ok": 1, "409 QUOTA_RUNNING_APPS": 2}
    done = await platform_on.finish()
    assert await ada.status(done["payload"]["appId"]) == 3
    assert await outcome(ada.deploy(done["payload"]["appId"])) == "ok"


async def test_one_app_is_deployed_once(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    app_id = await ada.app()
    assert await race(*(ada.deploy(app_id) for _ in range(8))) == {"ok": 1, "409 APP_DEPLOYING": 7}


async def test_starts_and_deploys_share_the_slots(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    stopped = [await platform_on.ready(ada) for _ in range(2)]
    for app_id in stopped:
        await ada.call("POST", "/deploy/app/stop", params={"appId": app_id})
    fresh = [await ada.app() for _ in range(3)]
    starts = [ada.call("POST", "/deploy/app/start", params={"appId": a}) for a in stopped]
    assert await race(*starts, *(ada.deploy(a) for a in fresh)) == {"ok": 3, "409 QUOTA_RUNNING_APPS": 2}


async def test_the_twentieth_app_is_the_last(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    made = await race(*(ada.app() for _ in range(24)))
    assert made == {"ok": 20, "409 QUOTA_APPS": 4}
    names = {a["appName"] for a in await ada.call("GET", "/app/list")}
    assert names == {f"未命名应用{n}" for n in range(1, 21)}


async def test_one_name_one_app(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    assert await race(*(ada.app("shop") for _ in range(5))) == {"ok": 1, "409 APP_NAME_TAKEN": 4}
    assert await outcome(ada.app("Shop")) == "ok"
    assert await outcome(ada.app("商店🛒")) == "ok"


async def test_one_user_name_one_account(platform_on: Platform) -> None:
    async def register(name: str) -> int:
        body = {"userName": name, "password": PASSWORD}
        return (await platform_on.http.post("http://test/api/fun-ai/auth/register", json=body)).json()["code"]

    codes = Counter(await asyncio.gather(*(register(n) for n in ("ada", "Ada", "ADA", "ada"))))
    assert codes == {200: 1, 409: 3}


async def test_variables_set_at_once_are_all_kept(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    app_id = await ada.app()
    await asyncio.gather(*(ada.call("PUT", "/app/env", params={"appId": app_id}, json={f"V{n}": str(n)}) for n in range(8)))
    names = [v["name"] for v in await ada.call("GET", "/app/env", params={"appId": app_id})]
    assert names == [f"V{n}" for n in range(8)]


async def test_a_delete_racing_a_deploy_leaves_nothing(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    for _ in range(4):
        app_id = await ada.app()
        outcomes = await race(ada.deploy(app_id), ada.call("POST", "/app/delete", params={"appId": app_id}))
        assert set(outcomes) <= {"ok", "404 APP_NOT_FOUND"}
        assert await ada.refused("GET", "/app/info", params={"appId": app_id}) == "404 APP_NOT_FOUND"
        await _nothing_active(platform_on, app_id)
    assert await _slots_free(platform_on, ada)


async def _nothing_active(platform: Platform, app_id: int) -> None:
    """Whatever the order was, the sweep ends a job that came in behind the delete."""

    async def quiet() -> bool:
        answer = await platform.inside.get(
            "/deploy/jobs/by-app", params={"appId": app_id, "limit": 20}, headers={"X-DEPLOY-SECRET": "deploy-secret"}
        )
        return all(j["status"] not in ("PENDING", "RUNNING") for j in answer.json()["data"])

    await eventually(quiet, seconds=10)


async def _slots_free(platform: Platform, person: Person) -> bool:
    apps = [await person.app() for _ in range(3)]
    return await race(*(person.deploy(a) for a in apps)) == {"ok": 3}
