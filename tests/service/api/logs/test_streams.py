"""Logs over a real socket: streams end, resume, and let a shutdown pass."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from funai.api import main as api_main
from funai.base.aio import bind, serving
from tests.parts.waiting import eventually
from tests.service.api.platform import BASE, Person, Platform


@dataclass
class Line:
    platform: Platform
    url: str
    stop: asyncio.Event
    http: httpx.AsyncClient
    api: FastAPI

    def seats(self) -> int:
        return self.api.state.core.seats.taken

    async def events(self, person: Person, job_id: int, **headers: str) -> AsyncIterator[dict[str, Any]]:
        """The SSE stream, one event at a time; comments come as ``{"comment": …}``."""
        params = {"jobId": job_id, "follow": "true"}
        at = f"{self.url}/deploy/job/logs"
        sent = {"Authorization": person.token, **headers}
        async with self.http.stream("GET", at, params=params, headers=sent) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            event: dict[str, Any] = {}
            async for line in response.aiter_lines():
                if not line and event:
                    yield event
                    event = {}
                elif line.startswith(":"):
                    yield {"comment": line}
                elif line:
                    name, _, value = line.partition(": ")
                    event[name] = json.loads(value) if name == "data" else value


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """The API on a port, so that answers really stream, and Deploy on another."""
    stop = asyncio.Event()
    running = Platform(tmp_path)
    door = FastAPI()  # so that Deploy, which runs already, isn't started a second time
    async with running.running() as platform, serving(door, bind("127.0.0.1", 0)) as deploy_port:
        door.mount("/", platform.deploy)
        at = f"http://127.0.0.1:{deploy_port}"
        platform.settings = platform.settings.model_copy(update={"deploy_base_url": at})
        api = api_main.build(platform.settings, stop=stop)
        async with serving(api, bind("127.0.0.1", 0)) as port, httpx.AsyncClient(timeout=30, trust_env=False) as http:
            yield Line(platform, f"http://127.0.0.1:{port}{BASE.removeprefix('http://test')}", stop, http, api)
            platform.deploy.state.core.release_waiting()
            stop.set()


async def write(platform: Platform, job: dict[str, Any], offset: int, text: str) -> int:
    body = {"runnerId": "r1", "offset": offset, "chunk": text, "leaseToken": job["leaseToken"]}
    answer = await platform.inside.post(f"/deploy/jobs/{job['id']}/logs", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["nextOffset"]


async def test_a_log_streams_while_the_build_runs_and_ends_with_it(line: Line) -> None:
    platform = line.platform
    ada = await platform.person("ada")
    app_id = await ada.app()
    await ada.deploy(app_id)
    job = await platform.claim()
    offset = await write(platform, job, 0, "第一行\n")
    seen: list[dict[str, Any]] = []
    async for event in line.events(ada, job["id"]):
        seen.append(event)
        if event.get("id") == str(offset) and len(seen) < 5 and event["event"] == "log":
            await write(platform, job, offset, "two\n")
            await platform.report(job)
    logs = [e for e in seen if e.get("event") == "log"]
    assert "".join(e["data"]["chunk"] for e in logs).startswith("第一行\ntwo\n")
    assert seen[-1]["event"] == "end"
    assert seen[-1]["data"]["status"] == "SUCCEEDED"
    assert await ada.status(app_id) == 3

    # Last-Event-ID resumes behind what was read.
    again = [e async for e in line.events(ada, job["id"], **{"Last-Event-ID": str(offset)})]
    assert "".join(e["data"]["chunk"] for e in again if e.get("event") == "log").startswith("two\n")
    plain = await ada.call("GET", "/deploy/job/logs", params={"jobId": job["id"], "offset": offset})
    assert plain["offset"] == offset
    assert plain["final"] is True


async def test_readers_at_one_place_of_a_log_share_one_request(platform: Platform) -> None:
    ada = await platform.person("ada")
    job = await ada.deploy(await ada.app())
    platform.wire.asked.clear()
    streams = [platform.core.streams.job_events(job["id"], 0) for _ in range(20)]
    for stream in streams:
        assert await anext(stream) == b"retry: 2000\n\n"
    waiting = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await eventually(lambda: platform.wire.asked)
    waiting.pop(0).cancel()
    claimed = await platform.claim()
    await write(platform, claimed, 0, "hello\n")
    for text in await asyncio.gather(*waiting):
        assert b"hello" in text
    assert platform.wire.asked.count(f"/deploy/jobs/{job['id']}/logs") == 1
    for stream in streams:
        await stream.aclose()


async def test_more_followed_logs_than_a_user_may_have_are_refused_and_all_are_given_back(line: Line) -> None:
    ada = await line.platform.person("ada")
    job = await ada.deploy(await ada.app())
    most = line.platform.settings.max_log_streams
    ask = line.http.build_request(
        "GET",
        f"{line.url}/deploy/job/logs",
        params={"jobId": job["id"], "follow": "true"},
        headers={"Authorization": ada.token},
    )
    answers = await asyncio.gather(*(line.http.send(ask, stream=True) for _ in range(most + 8)))
    assert sorted(a.status_code for a in answers) == [200] * most + [429] * 8
    for answer in answers:
        await answer.aclose()
    await eventually(lambda: line.seats() == 0)


async def test_an_apps_output_is_masked(line: Line) -> None:
    platform = line.platform
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    await ada.call("PUT", "/app/env", params={"appId": app_id, "secret": "true"}, json={"WHO": "container"})
    answer = await line.http.get(f"{line.url}/deploy/app/logs", params={"appId": app_id}, headers={"Authorization": ada.token})
    assert answer.text == "hello from the **********, tail 200\n"


async def test_a_shutdown_does_not_wait_for_readers(line: Line) -> None:
    ada = await line.platform.person("ada")
    await ada.deploy(await ada.app())
    job = await line.platform.claim()
    await write(line.platform, job, 0, "x\n")
    async with asyncio.timeout(60):
        async for event in line.events(ada, job["id"]):
            if event.get("event") == "log":
                line.stop.set()


async def test_a_foreign_stream_is_refused_before_it_begins(line: Line) -> None:
    ada, bob = await line.platform.person("ada"), await line.platform.person("bob")
    job = await ada.deploy(await ada.app())
    params = {"jobId": job["id"], "follow": "true"}
    answer = await line.http.get(f"{line.url}/deploy/job/logs", params=params, headers={"Authorization": bob.token})
    assert (answer.status_code, answer.json()["reason"]) == (404, "JOB_NOT_FOUND")


async def test_container_output_is_passed_on_as_text(line: Line) -> None:
    platform = line.platform
    ada = await platform.person("ada")
    app_id = await platform.ready(ada)
    headers = {"Authorization": ada.token}
    answer = await line.http.get(f"{line.url}/deploy/app/logs", params={"appId": app_id, "tail": 7}, headers=headers)
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text == "hello from the container, tail 7\n"
    never = await ada.app()
    answer = await line.http.get(f"{line.url}/deploy/app/logs", params={"appId": never}, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (409, "APP_NEVER_DEPLOYED")
