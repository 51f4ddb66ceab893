"""Runners of the field wait 30 seconds for the answer, name no generation and hang up."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from funai.agent.engine.contract import Image, Login
from funai.agent.engine.dummy import DummyEngine, Script
from funai.contracts.routes import RouteState
from tests.parts.waiting import eventually
from tests.service.agent.agent import SCRIPTS, SILENT, WEB, world

SLOW = {"health": {"timeoutSeconds": 60}}


async def test_older_runner_of_an_app_that_starts_slowly_is_answered_in_time_and_the_rollout_goes_on() -> None:
    engine = DummyEngine(local={**SCRIPTS, SILENT: Script(listens=False)})
    async with world(engine, older_runner_seconds=0.3) as here:
        answer = await here.deploy(None, SILENT, **SLOW)
        assert (answer.status_code, answer.json()["status"]) == (200, "DEPLOYED")
        assert "verified" not in answer.json(), "nothing was seen at the public path"
        assert here.parts.node.busy.rolling(7)
        again = asyncio.create_task(here.deploy(None, SILENT, **SLOW))
        assert (await again).status_code == 200, "asked for again, the same rollout is waited for"
        assert engine.calls.count("create") == 1
        assert (await here.deploy(None, WEB)).json()["reason"] == "DEPLOY_IN_PROGRESS"
        assert (await here.post("stop")).status_code == 200
        assert await here.names() == []
        await here.parts.older.close()
    await engine.close()


class SlowRegistry(DummyEngine):
    """Its pulls end when ``arrived`` is set."""

    def __init__(self) -> None:
        super().__init__(registry={WEB: SCRIPTS[WEB]})
        self.arrived = asyncio.Event()

    async def pull(self, ref: str, login: Login | None) -> Image:
        await self.arrived.wait()
        return await super().pull(ref, login)


async def test_older_runner_that_hangs_up_ends_no_rollout() -> None:
    engine = SlowRegistry()
    async with world(engine, older_runner_seconds=25) as here:
        with pytest.raises(httpx.ReadTimeout):
            await here.http.post(
                "/agent/apps/deploy", timeout=0.3, json={"userId": "1", "appId": "7", "image": WEB, "containerPort": 3000}
            )
        engine.arrived.set()
        await eventually(lambda: here.table.state(7) is RouteState.SERVING, what="the app serves all the same")
        await eventually(lambda: not here.parts.node.busy.rolling(7), what="the rollout is over")
    await engine.close()


async def test_older_runner_whose_image_is_still_pulled_gets_a_sentence_in_time() -> None:
    engine = SlowRegistry()
    async with world(engine, older_runner_seconds=0.1) as here:
        answer = await here.deploy(None, WEB)
        assert (answer.status_code, answer.json()["reason"]) == (503, "ROLLOUT_GOES_ON")
        assert "the node goes on with it" in answer.json()["detail"]
        engine.arrived.set()
        await eventually(lambda: here.table.state(7) is RouteState.SERVING, what="it serves in the end")
        await eventually(lambda: not here.parts.node.busy.rolling(7), what="the rollout is over")
    await engine.close()
