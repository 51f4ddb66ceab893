"""Whatever is thrown at the agent's door, valid by its document or not: never a 5xx, never half an answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from tests.parts.extent import extent, only_in_full
from tests.service.agent.agent import EXITS, TOKEN, WEB, World, world

HOST = "http://agent.test"


@pytest.mark.parametrize("mode", [pytest.param(GenerationMode.POSITIVE, marks=only_in_full), GenerationMode.NEGATIVE])
async def test_nothing_thrown_at_it_is_a_crash(mode: GenerationMode) -> None:
    async with world(drain_seconds=0) as w:
        await w.deploy(1)
        await asyncio.to_thread(_throw, w, asyncio.get_running_loop(), mode)
        assert (await w.http.get("/internal/health")).status_code == 200


def _throw(w: World, loop: asyncio.AbstractEventLoop, mode: GenerationMode) -> None:
    document = w.app.openapi()
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        described = document["paths"][operation.path][operation.method]
        if mode is GenerationMode.NEGATIVE and not (described.get("parameters") or described.get("requestBody")):
            continue

        @settings(
            max_examples=extent(4, 20),
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        @given(case=operation.as_strategy(generation_mode=mode), image=st.sampled_from([None, WEB, EXITS]))
        def one(case: Any, image: str | None) -> None:
            _send(w, loop, case.as_transport_kwargs(base_url=HOST), image)

        one()


def _send(w: World, loop: asyncio.AbstractEventLoop, made: dict[str, Any], image: str | None) -> None:
    """``image`` makes some deploys reach the engine; waits for health are cut short."""
    request = {k: v for k, v in made.items() if k in ("method", "url", "params", "json")}
    if made.get("data") is not None:
        request["content"] = made["data"]
    params = {k: v for k, v in dict(request.get("params") or {}).items() if k != "follow"}
    body = request.get("json")
    if isinstance(body, dict) and "image" in body and image:
        request["json"] = {**body, "image": image, "health": {"timeoutSeconds": 1}}
    calling = w.http.request(
        **{**request, "params": params, "url": str(request["url"]).removeprefix(HOST)}, headers={"X-Runtime-Token": TOKEN}
    )
    done = asyncio.run_coroutine_threadsafe(calling, loop).result(60)
    assert done.status_code < 500, (request, params, done.text)
    if done.headers["content-type"].startswith("application/json") and done.status_code >= 400:
        assert done.json()["reason"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"userId":1,"appId":7,"image":"\\ud800"}',
        b'{"userId":1,"appId":0,"image":"a"}',
        b'{"userId":1,"appId":7,"image":"--help"}',
        b'{"userId":1,"appId":7,"image":"a","containerPort":0}',
        b'{"userId":1,"appId":7,"image":"a","containerPort":70000}',
        b'{"userId":true,"appId":7,"image":"a"}',
        b'{"userId":1,"appId":99999999999999999999,"image":"a"}',
        b'{"userId":1,"appId":7,"image":"a","basePath":"/../x"}',
        b'{"userId":1,"appId":9223372036854775808,"image":"a"}',
        b'{"userId":1,"appId":7,"image":"localhost/web:1","env":{"A\\u0000":"x"}}',
        b'{"userId":1,"appId":7,"image":"localhost/web:1","env":{"A=B":"x"}}',
        b'{"userId":1,"appId":7,"image":"localhost/web:1","env":{"A":"x\\u0000y"}}',
        b'{"userId":1,"appId":7,"image":"localhost/web:1","env":{"A":"\\ud800"}}',
        b'{"userId":1,"appId":7,"image":"localhost/web:1","env":{"PORT":"1"}}',
    ],
)
async def test_what_can_not_be_meant_is_400(body: bytes) -> None:
    async with world() as w:
        answer = await w.http.post("/agent/apps/deploy", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
        assert await w.names() == []


async def test_a_body_that_is_too_large_is_413() -> None:
    async with world() as w:
        answer = await w.http.post("/agent/apps/deploy", content=b" " * (5 << 20))
        assert answer.status_code == 413
