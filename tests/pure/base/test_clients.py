"""A Deploy that answers in another shape has failed, and is asked again: no caller may break over it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from funai.base.clients.deploy import RunnerDeployClient
from funai.contracts.errors import CalleeFailed
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
