"""What callers of before send and read, and the API in front of a Deploy service of before."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import httpx

from tests.parts.waiting import eventually
from tests.service.api.platform import Platform

NODE = {
    "id": {"value": 1783920117342931},
    "name": "rt-node-01",
    "agentBaseUrl": "http://172.21.138.102:7005",
    "gatewayBaseUrl": "http://studio.fun.tv",
    "enabled": True,
    "weight": 100,
    "lastHeartbeatAt": "2026-01-01T10:00:00Z",
    "diskFreePct": 70.5,
}


class FieldDeploy(httpx.AsyncBaseTransport):
    """A Deploy service of before: text ids, errors in the body of HTTP 200, no call by key."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}

    def answer(self, data: Any, code: int = 200, message: str = "success") -> httpx.Response:
        return httpx.Response(200, json={"code": code, "message": message, "data": data})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path.removeprefix("/deploy/").split("/"):
            case "POST", ["jobs"]:
                return self.create(httpx.Response(200, content=await request.aread()).json())
            case "GET", ["jobs", "by-app"]:
                mine = [j for j in self.jobs.values() if str(j["payload"]["appId"]) == request.url.params["appId"]]
                return self.answer(mine[::-1][: int(request.url.params["limit"])])
            case "GET", ["jobs"]:
                return self.answer(list(self.jobs.values())[::-1])
            case "GET", ["jobs", str(job_id)]:
                return self.answer(self.jobs[job_id]) if job_id in self.jobs else self.answer(None, 404, "任务不存在")
            case "POST", ["jobs", str(job_id), "cancel"]:
                self.jobs[job_id]["status"] = "CANCELLED"
                return self.answer(self.jobs[job_id])
            case "POST", ["apps", "stop"]:
                return self.answer(
                    {
                        "appId": 1,
                        "userId": 1,
                        "nodeId": 1783920117342931,
                        "agentBaseUrl": "http://a:7005",
                        "runtime": {"appId": "1", "status": "STOPPED"},
                    }
                )
            case _:
                return httpx.Response(404, json={"timestamp": 1, "status": 404, "error": "Not Found"})

    def create(self, asked: dict[str, Any]) -> httpx.Response:
        if any(j["status"] in ("PENDING", "RUNNING") for j in self.jobs.values()):
            return self.answer(None, 409, "该应用正在部署中")
        job_id = str(uuid.uuid4())
        at = f"2026-01-01T10:00:{len(self.jobs):02}.123456Z"
        self.jobs[job_id] = {
            "id": job_id,
            "type": asked["type"],
            "status": "PENDING",
            "payload": asked["payload"],
            "errorMessage": None,
            "runnerId": None,
            "leaseExpireAt": None,
            "runtimeNode": None,
            "deployUrl": None,
            "createdAt": at,
            "updatedAt": at,
        }
        return self.answer(self.jobs[job_id])

    def finish(self, job_id: str) -> None:
        node = {"runtimeNode": NODE, "deployUrl": "http://studio.fun.tv/runtime/1/"}
        self.jobs[job_id] |= {"status": "SUCCEEDED", "runnerId": "runner-101", **node}


async def test_api_before_a_deploy_of_the_field_follows_jobs_by_their_text_ids(tmp_path: Path) -> None:
    platform, field = Platform(tmp_path, https_urls=True), FieldDeploy()
    async with platform.running():
        platform.wire.inner = field
        ada = await platform.person("ada")
        app_id = await ada.app()
        job = await ada.deploy(app_id)
        (text_id,) = field.jobs
        assert (job["oldId"], isinstance(job["id"], int)) == (text_id, True)
        for named in (job["id"], text_id):
            assert (await ada.call("GET", "/deploy/job/info", params={"jobId": named}))["oldId"] == text_id
        assert (await ada.refused("POST", "/deploy/job/create", params={"appId": app_id})).startswith("409")
        field.finish(text_id)

        async def ready() -> bool:
            return await ada.status(app_id) == 3

        await eventually(ready, what="the app is ready")
        shown = await ada.call("GET", "/app/info", params={"appId": app_id})
        assert shown["deployAccessUrl"] == "https://studio.fun.tv/runtime/1/"
        second = await ada.deploy(app_id)
        history = await ada.call("GET", "/deploy/job/history", params={"appId": app_id, "limit": 1_000})
        assert [j["id"] for j in history] == [second["id"], job["id"]]
        cancelled = await ada.call("POST", "/deploy/job/cancel", params={"jobId": second["id"]})
        assert cancelled["status"] == "CANCELLED"
        assert (await ada.refused("GET", "/deploy/job/info", params={"jobId": str(uuid.uuid4())})).startswith("404")
        stopped = await ada.call("POST", "/deploy/app/stop", params={"appId": app_id})
        assert (stopped["appId"], stopped["nodeId"], stopped["runtime"]["status"]) == (app_id, 1783920117342931, "STOPPED")


async def test_app_facts_that_older_callers_send_are_given_back(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    body = {
        "userId": ada.id,
        "appId": app_id,
        "appName": "商城",
        "appDescription": "演示",
        "appType": "fullstack",
        "appKey": "k1",
    }
    changed = await ada.call("POST", "/app/update-basic", json=body)
    assert {k: changed[k] for k in ("appDescription", "description", "appType", "appKey")} == {
        "appDescription": "演示",
        "description": "演示",
        "appType": "fullstack",
        "appKey": "k1",
    }
    again = await ada.call("POST", "/app/update-basic", json={"appId": app_id, "appName": "店"})
    assert (again["appDescription"], again["appType"]) == ("演示", "fullstack")


async def test_a_disabled_app_is_deleted_by_an_admin_only(platform: Platform) -> None:
    ada, root = await platform.person("ada"), await platform.admin()
    app_id = await ada.app()
    await root.call("POST", "/admin/apps/set-disabled", params={"appId": app_id, "disabled": "true"})
    assert await ada.refused("POST", "/app/delete", params={"appId": app_id}) == "409 APP_DISABLED"
    done = await root.call("POST", "/app/delete", params={"appId": app_id, "userId": ada.id})
    assert done["appId"] == app_id


async def test_nodes_health_says_where_deploy_is(platform: Platform) -> None:
    root = await platform.admin()
    said = await root.call("GET", "/admin/deploy-nodes/health")
    assert said["proxyBaseUrl"] == "http://deploy.test"
    assert said["deploy"]["service"] == "fun-ai-studio-deploy"
    assert said["deploy"]["timestamp"] > 10**12
    placed = await root.call("GET", "/admin/deploy-nodes/placements", params={"nodeId": 1, "limit": 5_000})
    assert placed == {"nodeId": 1, "total": 0, "items": []}
