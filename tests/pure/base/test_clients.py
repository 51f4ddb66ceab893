"""A Deploy that answers in another shape has failed, and is asked again: no caller may break over it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from funai.base.clients.agent import AgentClient
from funai.base.clients.deploy import DeployClient, RunnerDeployClient, UnreadableClaim
from funai.contracts.agent import AgentDeploy
from funai.contracts.errors import CalleeFailed, FunaiError
from funai.contracts.jobs import AppendLog, ClaimJob, HeartbeatJob, ReportJob
from funai.contracts.states import JobStatus

Call = Callable[[RunnerDeployClient], Awaitable[object]]
CALLS: dict[str, Call] = {
    "claim": lambda c: c.claim(ClaimJob(runner_id="r")),
    "heartbeat": lambda c: c.heartbeat(1, HeartbeatJob(runner_id="r")),
    "report": lambda c: c.report(1, ReportJob(runner_id="r", status=JobStatus.SUCCEEDED)),
    "log": lambda c: c.append_log(1, AppendLog(runner_id="r", offset=0, chunk="x")),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("data", [{"id": 1, "status": "PAUSED"}, ["x"], "x"])
async def test_an_answer_of_another_shape(call: str, data: Any) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"code": 200, "message": "ok", "data": data})

    client = RunnerDeployClient("http://deploy", None, http=httpx.MockTransport(answer))
    with pytest.raises(CalleeFailed):
        await CALLS[call](client)
    await client.close()


DEPLOY_CALLS: dict[str, Callable[[DeployClient], Awaitable[object]]] = {
    "jobs": lambda c: c.jobs(5),
    "history": lambda c: c.jobs_by_app(1, 5),
    "releases": lambda c: c.releases(1),
    "stop": lambda c: c.app_call("stop", 1, 1),
    "status": lambda c: c.app_status(1, 1),
    "overview": lambda c: c.overview([1]),
}


@pytest.mark.parametrize("call", DEPLOY_CALLS)
@pytest.mark.parametrize("data", ["x", 7, {"a": [1]}, [7]])
async def test_deploy_client_of_an_unknown_shape_fails_as_the_callee(call: str, data: Any) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"code": 200, "message": "ok", "data": data})

    client = DeployClient("http://deploy", "s", http=httpx.MockTransport(answer))
    if call in ("stop", "status") and isinstance(data, dict):
        assert await DEPLOY_CALLS[call](client) == data
    else:
        with pytest.raises(CalleeFailed):
            await DEPLOY_CALLS[call](client)
    await client.close()


AGENT_CALLS: dict[str, Callable[[AgentClient], Awaitable[object]]] = {
    "deploy": lambda c: c.deploy(AgentDeploy(user_id="1", app_id="1", image="x/y:1"), timeout=1),
    "stop": lambda c: c.stop(1, 1),
    "start": lambda c: c.start(1, 1),
    "delete": lambda c: c.delete(1, 1),
    "status": lambda c: c.status(1, 1),
}


@pytest.mark.parametrize("call", AGENT_CALLS)
@pytest.mark.parametrize("body", ["x", [1], {"appId": {}}, None])
async def test_agent_client_of_an_unknown_shape_fails_as_the_callee(call: str, body: Any) -> None:
    client = AgentClient("http://agent", "t", http=httpx.MockTransport(lambda _: httpx.Response(200, json=body)))
    with pytest.raises(CalleeFailed, match="runtime-agent"):
        await AGENT_CALLS[call](client)
    await client.close()


async def test_agent_client_reads_what_agents_in_the_field_answer() -> None:
    answers = {
        "/agent/apps/delete": {
            "appId": "7",
            "status": "DELETED",
            "images": {"removed": ["a"], "kept": ["b"]},
            "mongo": {"enabled": False, "dropped": False},
        },
        "/agent/apps/deploy": {"appId": "7", "containerName": "c", "status": "DEPLOYED", "previewUrl": None},
    }
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json=answers[request.url.path])

    client = AgentClient("http://agent", "t", http=httpx.MockTransport(answer))
    gone = await client.delete(1, 7, generation=5)
    assert (gone.images, gone.mongo) == (["a"], '{"enabled": false, "dropped": false}')
    assert sent == [{"userId": "1", "appId": "7", "generation": 5}]
    assert (await AGENT_CALLS["deploy"](client)).preview_url == ""  # type: ignore[attr-defined]
    await client.close()


async def test_claim_that_cannot_be_read_names_what_is_to_be_given_back() -> None:
    beats: list[tuple[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/claim"):
            data: Any = {"id": 9, "status": "UNHEARD_OF", "leaseToken": "t-1"}
            return httpx.Response(200, json={"code": 200, "message": "ok", "data": data})
        beats.append((request.url.path, json.loads(request.content)))
        return httpx.Response(200, json={"code": 200, "message": "ok", "data": {"strange": True}})

    client = RunnerDeployClient("http://deploy", None, http=httpx.MockTransport(answer))
    with pytest.raises(UnreadableClaim) as caught:
        await client.claim(ClaimJob(runner_id="r"))
    await client.give_back(caught.value.job_id or 0, caught.value.lease_token, "r")
    (beat,) = beats
    assert beat[0] == "/deploy/jobs/9/heartbeat"
    assert (beat[1]["leaseToken"], beat[1]["extendSeconds"]) == ("t-1", 5)
    await client.close()


UUID = "a121b5f1-0c7e-4b63-9a0e-2f5c7d1e8b44"
FIELD_CLAIM = {
    "id": UUID,
    "type": "BUILD_AND_DEPLOY",
    "status": "RUNNING",
    "payload": {
        "userId": 4,
        "appId": 20000254,
        "appName": "demo",
        "containerPort": 3000,
        "basePath": "/runtime/20000254",
        "image": "172.21.138.103/funaistudio/u4-app20000254:latest",
        "attempt": 1,
        "runStartedAt": 1767225600000,
    },
    "errorMessage": None,
    "runnerId": "runner-101",
    "leaseExpireAt": "2026-01-01T10:00:30Z",
    "runtimeNode": {
        "id": {"value": 1783920117342931},
        "name": "rt-node-01",
        "agentBaseUrl": "http://172.21.138.102:7005",
        "gatewayBaseUrl": "https://studio.fun.tv",
        "enabled": True,
        "weight": 100,
        "lastHeartbeatAt": "2026-01-01T10:00:00Z",
        "diskFreePct": 70.5,
    },
    "deployUrl": None,
    "createdAt": "2026-01-01T10:00:00.123456Z",
    "updatedAt": "2026-01-01T10:00:00.123456Z",
}
"""A claim as the Deploy service of the field answers it."""


def field(data: Any, code: int = 200, message: str = "success") -> httpx.Response:
    """In the envelope of the field, where errors have HTTP 200 too."""
    return httpx.Response(200, json={"code": code, "message": message, "data": data})


async def test_runner_client_of_a_field_deploy_works_on_a_job_by_its_text_id() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return field(FIELD_CLAIM)

    client = RunnerDeployClient("http://deploy", None, http=httpx.MockTransport(answer))
    job = await client.claim(ClaimJob(runner_id="runner-101"))
    assert job is not None
    assert (job.wire_id, job.old_id, job.attempt) == (UUID, UUID, None)
    assert job.runtime_node is not None
    assert job.runtime_node.id == 1783920117342931
    await client.heartbeat(job.wire_id, HeartbeatJob(runner_id="runner-101"))
    await client.report(job.wire_id, ReportJob(runner_id="runner-101", status=JobStatus.SUCCEEDED))
    assert asked[1:] == [f"/deploy/jobs/{UUID}/heartbeat", f"/deploy/jobs/{UUID}/report"]
    await client.close()


@pytest.mark.parametrize(("code", "kind"), [(404, "NotFound"), (409, "Conflict"), (500, "RemoteError"), (502, "CalleeFailed")])
async def test_deploy_client_of_an_error_in_the_body_of_http_200_raises_it(code: int, kind: str) -> None:
    client = DeployClient("http://deploy", "s", http=httpx.MockTransport(lambda _: field(None, code, "任务不存在")))
    with pytest.raises(FunaiError, match="任务不存在") as failed:
        await client.job(UUID)
    assert type(failed.value).__name__ == kind
    await client.close()


FIELD_AGENT: dict[str, dict[str, Any]] = {
    "deploy": {"appId": "7", "containerName": "rt-u-1-7", "status": "DEPLOYED", "previewUrl": None},
    "stop": {"appId": "7", "status": "STOPPED"},
    "delete": {
        "appId": "7",
        "status": "DELETED",
        "images": {"removed": ["a:1", "a:2"], "kept": ["b:1"]},
        "mongo": {"enabled": False, "dropped": False},
    },
    "status": {"appId": "7", "containerName": "rt-u-1-7", "exists": True, "running": True, "image": "a:1", "port": 3000},
}
"""What the agents of the field answer."""


async def test_agent_client_of_a_field_agent_reads_every_answer() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=FIELD_AGENT[request.url.path.rpartition("/")[2]])

    client = AgentClient("http://agent", "t", http=httpx.MockTransport(answer))
    deployed = await client.deploy(AgentDeploy(user_id="1", app_id="7", image="x/y:1"), timeout=1)
    assert (deployed.preview_url, deployed.generation, deployed.verified) == ("", None, None)
    assert (await client.stop(1, 7)).status == "STOPPED"
    gone = await client.delete(1, 7)
    assert (gone.images, gone.mongo) == (["a:1", "a:2"], '{"enabled": false, "dropped": false}')
    assert (await client.status(1, 7)).running
    await client.close()
