"""Whatever is thrown at Deploy's doors, valid by its document or not: never a 5xx of ours, never half an answer.

On PostgreSQL, which refuses texts and numbers that SQLite takes.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from funai.deploy import main
from tests.parts.extent import extent, only_in_full
from tests.service.deploy.apps.agents import Agents, deploying
from tests.service.deploy.queue import kit
from tests.service.deploy.queue.kit import ADMIN, NODE, RUNNER, SECRET, Deploy

HOST = "http://deploy"
TOKENS = {"X-DEPLOY-SECRET": SECRET, "X-Runner-Token": RUNNER, "X-RT-Node-Token": NODE, "X-Admin-Token": ADMIN}
JSON = {**TOKENS, "Content-Type": "application/json"}


@pytest.mark.parametrize("mode", [pytest.param(GenerationMode.POSITIVE, marks=only_in_full), GenerationMode.NEGATIVE])
async def test_nothing_thrown_at_it_is_a_crash(mode: GenerationMode, postgres_url: str) -> None:
    app = main.build(kit.settings(postgres_url), agent_http=Agents)
    await main.upgrade(app.state.core.db)
    # Without the sweeps: they draw random pauses, which would be taken from what the cases are made of.
    deploy = Deploy(app)
    try:
        await deploy.node("n1")
        await deploy.create(1)
        await asyncio.to_thread(_throw, deploy, asyncio.get_running_loop(), mode)
        assert (await deploy.raw.get("/internal/health")).status_code == 200
    finally:
        await deploy.close()
        await deploy.core.db.close()


def _throw(deploy: Deploy, loop: asyncio.AbstractEventLoop, mode: GenerationMode) -> None:
    document = deploy.app.openapi()
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        described = document["paths"][operation.path][operation.method]
        if mode is GenerationMode.NEGATIVE and not (described.get("parameters") or described.get("requestBody")):
            continue

        @settings(
            max_examples=extent(2, 6),
            deadline=None,
            database=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def one(case: Any) -> None:
            _send(deploy, loop, case.as_transport_kwargs(base_url=HOST))

        one()


def _send(deploy: Deploy, loop: asyncio.AbstractEventLoop, made: dict[str, Any]) -> None:
    """As it was made, but nobody waits for anything."""
    sent = {k: v for k, v in made.items() if k in ("method", "url", "params", "json")}
    if made.get("data") is not None:
        sent["content"] = made["data"]
    sent["params"] = {k: v for k, v in dict(sent.get("params") or {}).items() if k != "waitSeconds"}
    body = sent.get("json")
    if isinstance(body, dict) and "waitSeconds" in body:
        sent["json"] = {**body, "waitSeconds": 0}
    calling = deploy.raw.request(**{**sent, "url": str(sent["url"]).removeprefix(HOST)}, headers=TOKENS)
    done = asyncio.run_coroutine_threadsafe(calling, loop).result(60)
    assert done.status_code < 500 or done.json()["reason"] in ("AGENT_UNREACHABLE", "AGENT_TOO_OLD", "CALLEE_FAILED"), (
        sent,
        done.text,
    )
    if done.headers["content-type"].startswith("application/json") and done.status_code >= 400:
        assert done.json()["reason"], sent


NASTY = ["\x00", "a\x00b", "\ud800", "'; DROP TABLE x; --", "９", "🦊" * 200]


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url", "mariadb_url"])
async def test_texts_that_databases_refuse_are_bad_input_or_kept(database: str, request: pytest.FixtureRequest) -> None:
    async with deploying(request.getfixturevalue(database), Agents()) as deploy:
        for text in NASTY:
            for path, body in (
                ("/internal/runtime-nodes/heartbeat", {"nodeName": text}),
                ("/internal/runtime-nodes/heartbeat", {"nodeName": "n", "agentBaseUrl": f"http://{text}"}),
                ("/internal/runtime-nodes/heartbeat", {"nodeName": "n", "engine": text}),
                ("/admin/runtime-nodes/upsert", {"name": "n", "gatewayBaseUrl": f"http://x/{text}"}),
                ("/deploy/jobs/claim", {"runnerId": text}),
                ("/deploy/jobs/claim", {"runnerId": "r", "labels": [text]}),
                ("/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": {"appName": text, "extra": {text: text}}}),
            ):
                answer = await deploy.raw.post(path, content=json.dumps(body).encode(), headers=JSON)
                assert answer.status_code < 500, (path, body, answer.text)
            query = {"name": text.encode("utf-8", "replace"), "enabled": "true"}
            named = await deploy.raw.post("/admin/runtime-nodes/set-enabled", params=query, headers=TOKENS)
            assert named.status_code in (400, 404)
