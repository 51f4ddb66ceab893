"""Nothing unexpected ends a runner's slot or heartbeat for good, and each such end is counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from funai.base.clients.deploy import RunnerDeployClient, UnreadableClaim
from funai.base.clients.transport import UNREASONED, AgentRefused
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import ClaimJob, HeartbeatJob, Job
from funai.contracts.reasons import FailureCode
from funai.runner.claim import loop as claims
from funai.runner.claim.lease import Lease, LeaseKeeper, keeping
from funai.runner.claim.loop import ClaimLoop
from funai.runner.failures import from_agent
from funai.runner.job import RunnerContext
from funai.runner.metrics import RunnerMetrics
from funai.runner.publish.rollout import passes
from funai.runner.settings import RunnerSettings
from tests.parts.waiting import eventually

NOW = "2026-01-01T00:00:00Z"


class Deploy:
    """Answers each claim and heartbeat as the next entry says; the last one stays."""

    def __init__(self, *answers: Callable[[], Any]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.given_back: list[Any] = []

    def _next(self) -> Any:
        self.asked += 1
        return (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])()

    async def claim(self, _: ClaimJob) -> Job | None:
        await asyncio.sleep(0)
        return self._next()

    async def heartbeat(self, _: int, __: HeartbeatJob) -> Job:
        return self._next()

    async def give_back(self, job_id: int, lease_token: str | None, runner_id: str) -> None:
        self.given_back.append((job_id, lease_token, runner_id))

    async def close(self) -> None:
        return


def failing(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def running() -> Job:
    wire: dict[str, Any] = {
        "id": 1,
        "type": "BUILD_AND_DEPLOY",
        "status": "RUNNING",
        "payload": {},
        "createdAt": NOW,
        "updatedAt": NOW,
    }
    return Job.model_validate(wire)


def read(metrics: RunnerMetrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0


@pytest.mark.parametrize("unreadable", [False, True])
async def test_slot_goes_on_after_what_nobody_expected(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unreadable: bool
) -> None:
    for pause in ("AWAY_PAUSE", "UNREADABLE_PAUSE"):
        monkeypatch.setattr(claims, pause, 0.01)
    error = UnreadableClaim({"id": 7, "leaseToken": "t"}) if unreadable else RuntimeError("unheard of")
    deploy, metrics, stop = Deploy(failing(error), lambda: None), RunnerMetrics(CollectorRegistry()), asyncio.Event()
    settings = RunnerSettings(
        agent_token=SecretStr("agent-token-1"), slots=1, poll_seconds=1, claim_wait_seconds=0, workdir=tmp_path
    )
    context = cast("RunnerContext", SimpleNamespace(settings=settings, metrics=metrics))
    loop = asyncio.create_task(ClaimLoop(context, cast("RunnerDeployClient", deploy)).run(stop))
    await eventually(lambda: deploy.asked >= 2)
    stop.set()
    await loop
    assert read(metrics, "funai_runner_crashes_total", loop="slot") == (0 if unreadable else 1)
    assert read(metrics, "funai_runner_claims_unreadable_total") == (1 if unreadable else 0)
    assert deploy.given_back == ([(7, "t", settings.runner_id)] if unreadable else [])


async def test_heartbeats_go_on_after_what_nobody_expected() -> None:
    deploy, crashes = Deploy(failing(RuntimeError("unheard of")), running), list[int]()
    connect = lambda: cast("RunnerDeployClient", deploy)  # noqa: E731
    async with keeping(LeaseKeeper(connect, "r", every=0.01, crashed=lambda: crashes.append(1))) as leases:
        lease = Lease(running(), seconds=30, granted_at=time.monotonic())
        leases.add(lease)
        await eventually(lambda: deploy.asked >= 3)
        leases.drop(lease)
    assert (len(crashes), lease.lost) == (1, None)


async def test_lease_whose_heartbeats_cannot_begin_is_lost_at_once() -> None:
    crashes = list[int]()
    async with keeping(
        LeaseKeeper(failing(ValueError("no address")), "r", every=1, crashed=lambda: crashes.append(1))
    ) as leases:
        lease = Lease(running(), seconds=30, granted_at=time.monotonic())
        leases.add(lease)
        await eventually(lambda: lease.lost)
    assert crashes == [1]


def refused(reason: str, detail: Any = "busy") -> FunaiError:
    return AgentRefused(409, reason, "busy", detail)


def test_passes_of_a_rollout_that_was_interrupted_is_false() -> None:
    """Tried again, a stopped app would come up."""
    assert not passes(refused("ROLLOUT_INTERRUPTED"))
    assert not passes(refused("STALE_GENERATION"))
    assert not passes(refused(UNREASONED, {"code": "APP_EXITED", "message": "x"}))
    assert passes(refused("DEPLOY_IN_PROGRESS"))
    assert passes(refused(UNREASONED))  # agents in the field give no reason


def test_from_agent_of_an_interrupted_rollout_says_so() -> None:
    failed = from_agent(refused("ROLLOUT_INTERRUPTED"))
    assert failed.code is FailureCode.STALE_GENERATION
    assert "ended by a stop" in failed.error_message()
