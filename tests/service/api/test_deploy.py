"""From a request to what becomes of the app, with the real Deploy behind the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.service.api.platform import Platform, Refused


async def test_a_deploy_fills_the_payload_as_the_contract_says(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app("shop")
    job = await ada.deploy(app_id)
    assert job["status"] == "PENDING"
    assert job["type"] == "BUILD_AND_DEPLOY"
    assert job["payload"] == {
        "userId": ada.id,
        "appId": app_id,
        "appName": "shop",
        "containerPort": 3000,
        "basePath": f"/runtime/{app_id}",
        "imageTag": "latest",
        "repoSshUrl": f"ssh://git@git.test:2222/funai/u{ada.id}-app{app_id}.git",
        "gitRef": "main",
        "acrRegistry": "registry.test:5000",
        "acrNamespace": "funaistudio",
    }
    assert await ada.status(app_id) == 2


async def test_what_the_caller_gave_wins(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    wishes = {
        "containerPort": 80,
        "gitRef": "v1",
        "imageTag": "t1",
        "dockerfilePath": "./web/Dockerfile",
        "buildContext": "web",
    }
    payload = (await ada.deploy(app_id, json=wishes))["payload"]
    assert (payload["containerPort"], payload["gitRef"], payload["imageTag"]) == (80, "v1", "t1")
    assert (payload["dockerfilePath"], payload["buildContext"]) == ("web/Dockerfile", "web")


async def test_success_makes_the_app_ready_with_its_address(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    listed = await ada.call("GET", "/deploy/app/list", params={"userId": ada.id})
    assert [a["id"] for a in listed] == [app_id]
    assert listed[0]["deployAccessUrl"] == listed[0]["accessUrl"] == f"http://gw/runtime/{app_id}/"


async def test_failure_says_why_and_frees_the_slot(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.deploy(app_id)
    await platform.finish("FAILED", errorMessage="npm ERR! boom", failure={"code": "BUILD_FAILED"})
    info = await ada.call("GET", "/app/info", params={"appId": app_id})
    assert (info["appStatus"], info["lastDeployError"]) == (4, "npm ERR! boom")
    assert info["deployAccessUrl"] is None
    row = await platform.core.apps.find(app_id)
    assert (row.slot, row.op) == (0, None)


async def test_a_failed_redeploy_keeps_the_slot_of_what_still_serves(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    await ada.deploy(app_id)
    await platform.finish("FAILED", errorMessage="boom")
    assert await ada.status(app_id) == 4
    row = await platform.core.apps.find(app_id)
    assert (row.slot, row.serving) == (1, 1)
    for path in ("/deploy/app/list", "/app/list"):
        (shown,) = await ada.call("GET", path, params={"userId": ada.id})
        assert (shown["appStatus"], shown["deployAccessUrl"]) == (4, None)
        assert (shown["serving"]["release"], shown["serving"]["address"]) == (1, f"http://gw/runtime/{app_id}/")
        assert shown["serving"]["since"].endswith("Z")
    platform.wire.cut = 100  # Deploy is away: what the API knows by itself is told
    assert (await ada.call("GET", "/app/info", params={"appId": app_id}))["serving"] == {
        "address": f"http://gw/runtime/{app_id}/"
    }
    platform.wire.cut = 0
    assert (await ada.call("POST", "/deploy/app/stop", params={"appId": app_id}))["serving"] is None


async def test_the_running_quota_names_what_holds_its_places(platform: Platform) -> None:
    ada = await platform.person("ada")
    for name in ("a", "b", "c"):
        app_id = await platform.ready(ada, name)
        await ada.deploy(app_id)
        await platform.finish("FAILED", errorMessage="boom")
    answer = await ada.raw("POST", "/deploy/job/create", params={"appId": await ada.app("d")})
    assert (answer.status_code, answer.json()["reason"]) == (409, "QUOTA_RUNNING_APPS")
    assert "(a, b, c)" in answer.json()["message"].replace("（", "(").replace("）", ")")


async def test_a_cancelled_deploy_leaves_the_app_as_it_was(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    job = await ada.deploy(app_id)
    cancelled = await ada.call("POST", "/deploy/job/cancel", params={"jobId": job["id"]})
    assert cancelled["status"] == "CANCELLED"
    assert await ada.status(app_id) == 0
    assert (await platform.core.apps.find(app_id)).slot == 0
    assert await ada.refused("POST", "/deploy/job/cancel", params={"jobId": 10**12}) == "404 JOB_NOT_FOUND"

    ready = await platform.ready(ada)
    job = await ada.deploy(ready)
    await platform.claim()
    await ada.call("POST", "/deploy/job/cancel", params={"jobId": job["id"]})
    assert await ada.status(ready) == 3
    assert ("stop", str(ready)) not in platform.node.calls


async def test_what_ran_without_a_slot_is_stopped(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    job = await ada.deploy(app_id)
    await platform.claim()
    platform.node.running.add(str(app_id))  # the rollout was done when the cancel came
    await ada.call("POST", "/deploy/job/cancel", params={"jobId": job["id"]})
    assert await ada.status(app_id) == 0
    assert str(app_id) not in platform.node.running


async def test_only_one_deploy_of_an_app_at_a_time(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.deploy(app_id)
    assert await ada.refused("POST", "/deploy/job/create", params={"appId": app_id}) == "409 APP_DEPLOYING"


async def test_stop_frees_the_slot_and_start_takes_one(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    stopped = await ada.call("POST", "/deploy/app/stop", params={"userId": ada.id, "appId": app_id})
    assert stopped["appStatus"] == 1
    assert stopped["deployAccessUrl"] is None
    assert str(app_id) not in platform.node.running
    assert await ada.call("GET", "/deploy/app/list") == []
    started = await ada.call("POST", "/deploy/app/start", params={"appId": app_id})
    assert (started["appStatus"], started["deployAccessUrl"]) == (3, f"http://gw/runtime/{app_id}/")
    assert str(app_id) in platform.node.running


async def test_a_start_that_fails_gives_the_slot_back(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    await ada.call("POST", "/deploy/app/stop", params={"appId": app_id})
    platform.node.broken.add("start")
    with pytest.raises(Refused):
        await ada.call("POST", "/deploy/app/start", params={"appId": app_id})
    row = await platform.core.apps.find(app_id)
    assert (row.status, row.slot, row.op) == (1, 0, None)
    never = await ada.app()
    assert await ada.refused("POST", "/deploy/app/start", params={"appId": never}) == "409 APP_NEVER_DEPLOYED"


async def test_a_start_without_the_container_deploys_the_release_again(platform: Platform) -> None:
    """A node that was silent when its app was stopped removes it later: nothing is left there to be started."""
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    await ada.call("POST", "/deploy/app/stop", params={"appId": app_id})
    platform.node.lost.add(str(app_id))
    started = await ada.call("POST", "/deploy/app/start", params={"appId": app_id})
    assert (started["appStatus"], started["deployAccessUrl"]) == (2, None)
    job = await platform.claim()
    assert (job["payload"]["appId"], job["payload"]["rollbackOf"]) == (app_id, 1)
    assert "@sha256:" in job["payload"]["image"]


async def test_stopping_what_never_ran_is_fine_and_what_deploys_is_refused(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    assert (await ada.call("POST", "/deploy/app/stop", params={"appId": app_id}))["appStatus"] == 0
    await ada.deploy(app_id)
    assert await ada.refused("POST", "/deploy/app/stop", params={"appId": app_id}) == "409 APP_DEPLOYING"


async def test_rollback_runs_an_earlier_release(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    assert await ada.refused("POST", "/deploy/app/rollback", params={"appId": app_id}) == "404 RELEASE_NOT_FOUND"
    await ada.deploy(app_id)
    await platform.finish(result={"image": "registry.test:5000/x", "digest": "sha256:" + "b" * 64, "containerPort": 3000})
    assert await ada.status(app_id) == 3
    releases = await ada.call("GET", "/deploy/app/releases", params={"appId": app_id})
    assert [r["number"] for r in releases] == [2, 1]
    job = await ada.call("POST", "/deploy/app/rollback", params={"appId": app_id, "release": 1})
    claimed = await platform.claim()
    assert claimed["id"] == job["id"]
    assert "sha256:" + "a" * 64 in claimed["payload"]["image"]
    assert await ada.refused("POST", "/deploy/app/rollback", params={"appId": app_id, "release": 9}) == "404 RELEASE_NOT_FOUND"


async def test_variables_reach_the_runner_and_nobody_else(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.call("PUT", "/app/env", params={"appId": app_id}, json={"TOKEN": "s3cr3t"})
    job = await ada.deploy(app_id)
    assert "s3cr3t" not in str(job)
    assert "env" not in job["payload"]
    claimed = await platform.claim()
    assert claimed["payload"]["env"] == {"TOKEN": "s3cr3t"}
    assert "requestId" not in (await ada.call("GET", "/deploy/job/info", params={"jobId": job["id"]}))["payload"]


async def test_jobs_are_listed_to_their_owner_alone(platform: Platform) -> None:
    ada, bob, root = await platform.person("ada"), await platform.person("bob"), await platform.admin()
    mine, theirs = await ada.app(), await bob.app()
    first, second = await ada.deploy(mine), await bob.deploy(theirs)
    assert [j["id"] for j in await ada.call("GET", "/deploy/job/list")] == [first["id"]]
    assert [j["id"] for j in await root.call("GET", "/deploy/job/list", params={"limit": 200})] == [second["id"], first["id"]]
    assert [j["id"] for j in await bob.call("GET", "/deploy/job/history", params={"appId": theirs})] == [second["id"]]
    assert (await root.call("GET", "/deploy/job/info", params={"jobId": first["id"]}))["id"] == first["id"]


async def test_nothing_tells_that_a_foreign_app_or_job_exists(platform: Platform) -> None:
    ada, bob = await platform.person("ada"), await platform.person("bob")
    app_id = await ada.app()
    job = await ada.deploy(app_id)
    calls: list[tuple[str, str, dict[str, int]]] = [
        ("POST", "/deploy/job/create", {"appId": app_id}),
        ("GET", "/deploy/job/info", {"jobId": job["id"]}),
        ("GET", "/deploy/job/history", {"appId": app_id}),
        ("POST", "/deploy/job/cancel", {"jobId": job["id"]}),
        ("GET", "/deploy/job/logs", {"jobId": job["id"]}),
        ("GET", "/deploy/app/logs", {"appId": app_id}),
        ("POST", "/deploy/app/stop", {"appId": app_id}),
        ("POST", "/deploy/app/start", {"appId": app_id}),
        ("POST", "/deploy/app/rollback", {"appId": app_id}),
        ("GET", "/deploy/app/releases", {"appId": app_id}),
        ("GET", "/app/info", {"appId": app_id}),
        ("POST", "/app/delete", {"appId": app_id}),
        ("GET", "/app/env", {"appId": app_id}),
    ]
    for method, path, params in calls:
        foreign = (await bob.raw(method, path, params=params)).json()
        nowhere = (await bob.raw(method, path, params=dict.fromkeys(params, 10**15))).json()
        assert foreign["code"] == 404, path
        assert {**foreign, "traceId": ""} == {**nowhere, "traceId": ""}, path
        assert await bob.refused(method, path, params={"userId": ada.id, **params}) in ("403 FORBIDDEN", "404 JOB_NOT_FOUND"), (
            path
        )
    assert await ada.status(app_id) == 2


async def test_an_admin_may_act_for_a_user(platform: Platform) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    app_id = await ada.app()
    job = await root.call("POST", "/deploy/job/create", params={"userId": ada.id, "appId": app_id})
    assert job["payload"]["userId"] == ada.id
    assert await root.refused("POST", "/deploy/job/create", params={"appId": app_id}) == "404 APP_NOT_FOUND"


BAD_WISHES: list[tuple[dict[str, Any], str]] = [
    ({"containerPort": 0}, "400 BAD_INPUT"),
    ({"containerPort": 70000}, "400 BAD_INPUT"),
    ({"gitRef": "--upload-pack=x"}, "400 BAD_INPUT"),
    ({"dockerfilePath": "../../etc/passwd"}, "400 BAD_INPUT"),
    ({"buildContext": "/etc"}, "400 BAD_INPUT"),
    ({"imageTag": "-x"}, "400 BAD_INPUT"),
    ({"image": "Not An Image"}, "400 BAD_INPUT"),
    ({"image": "evil.test/x:1"}, "403 IMAGE_FORBIDDEN"),
    ({"basePath": "/runtime/999"}, "403 BASE_PATH_FORBIDDEN"),
    ({"basePath": "/runtime/1/" + "x" * 200}, "400 BAD_INPUT"),
    ({"basePath": "/runtime/1/deeper"}, "403 BASE_PATH_FORBIDDEN"),
    ({"repoSshUrl": "ssh://git@git.test:2222/funai/u9-app9.git"}, "403 REPO_FORBIDDEN"),
    ({"acrRegistry": "evil.test"}, "403 REGISTRY_FORBIDDEN"),
    ({"healthPath": "no slash"}, "400 BAD_INPUT"),
    ({"healthPath": "/a/%2E%2e/b"}, "400 BAD_INPUT"),
]


async def test_bad_wishes_are_refused_before_anything_is_taken(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    for wishes, answer in BAD_WISHES:
        assert await ada.refused("POST", "/deploy/job/create", params={"appId": app_id}, json=wishes) == answer, wishes
    assert await ada.status(app_id) == 0


async def test_a_wrong_secret_is_not_the_callers_fault(tmp_path: Any) -> None:
    running = Platform(tmp_path)
    running.settings = running.settings.model_copy(update={"deploy_secret": running.settings.jwt_secret})
    async with running.running() as platform:
        ada = await platform.person("ada")
        app_id = await ada.app()
        assert await ada.refused("POST", "/deploy/job/create", params={"appId": app_id}) == "502 CALLEE_FAILED"
        assert (await platform.core.apps.find(app_id)).slot == 0
