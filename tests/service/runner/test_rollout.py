"""A roll-out through an agent that refuses: what is tried again, and what is the job's end."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from funai.base.aio import bind, serving
from funai.contracts.agent import AgentDeploy
from funai.contracts.jobs import RuntimeNodeRef
from funai.contracts.reasons import FailureCode
from funai.runner.failures import JobFailed
from funai.runner.publish import rollout as rollouts
from funai.runner.publish.rollout import Rollout
from funai.runner.settings import RunnerSettings

WISH = AgentDeploy(user_id="1", app_id="1", image="registry/t/a@sha256:" + "0" * 64, container_port=3000)
GOOD = {"appId": "1", "containerName": "rt", "status": "DEPLOYED", "previewUrl": "http://x/", "verified": True}


async def deployed(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, Any], retry_seconds: int = 30) -> list[str]:
    """Deploy through an agent that answers these in turn; what the log was told."""
    monkeypatch.setattr(rollouts, "BUSY_PAUSE", 0.01)
    left, app, said = list(answers), FastAPI(), list[str]()

    @app.post("/agent/apps/deploy")
    async def deploy() -> Any:
        status, body = left.pop(0)
        return JSONResponse(body, status)

    async with serving(app, bind("127.0.0.1", 0), grace=0) as port:
        url = f"http://127.0.0.1:{port}"
        node = RuntimeNodeRef(id=1, name="n1", agent_base_url=url, gateway_base_url=url)
        rollout = Rollout(RunnerSettings(agent_token=SecretStr("agent-token-1"), retry_seconds=retry_seconds))
        try:
            await rollout.deploy(node, WISH, said.append)
        finally:
            await rollout.close()
    assert left == []
    return said


def refused(code: FailureCode) -> tuple[int, Any]:
    return 422, {"detail": {"code": code, "message": code, "logTail": []}}


async def test_deploy_while_the_registry_is_away_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    away = refused(FailureCode.REGISTRY_UNREACHABLE)
    said = await deployed(monkeypatch, away, away, (200, GOOD))
    assert len(said) == 2 and "registry" in said[0]


async def test_deploy_while_the_registry_stays_away_fails_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(JobFailed) as caught:
        await deployed(monkeypatch, refused(FailureCode.REGISTRY_UNREACHABLE), retry_seconds=0)
    assert caught.value.code is FailureCode.REGISTRY_UNREACHABLE


@pytest.mark.parametrize("code", [FailureCode.APP_EXITED, FailureCode.IMAGE_NOT_FOUND, FailureCode.REGISTRY_AUTH])
async def test_deploy_that_a_second_try_would_not_mend_fails_at_once(
    monkeypatch: pytest.MonkeyPatch, code: FailureCode
) -> None:
    with pytest.raises(JobFailed) as caught:
        await deployed(monkeypatch, refused(code))
    assert caught.value.code is code
