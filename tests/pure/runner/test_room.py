"""A Runner whose disk is full claims nothing, and hands back what it holds instead of blaming the commit."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from funai.base.clients.deploy import RunnerDeployClient
from funai.contracts.jobs import AppendLog, ClaimJob, Job, ReportJob
from funai.contracts.reasons import FailureCode
from funai.runner.claim import loop as claims
from funai.runner.claim import room as rooms
from funai.runner.claim.lease import LeaseKeeper
from funai.runner.claim.loop import ClaimLoop
from funai.runner.claim.room import is_full
from funai.runner.failures import JobFailed
from funai.runner.job import RunnerContext
from funai.runner.metrics import RunnerMetrics
from funai.runner.settings import RunnerSettings
from tests.parts.waiting import eventually

NOW = "2026-01-01T00:00:00Z"
HUGE = 1 << 62


def claimed() -> Job:
    payload = {"userId": 1, "appId": 1, "repoSshUrl": "ssh://git@git.example/a.git", "gitRef": "main"}
    wire: dict[str, Any] = {
        "id": 7,
        "type": "BUILD_AND_DEPLOY",
        "status": "RUNNING",
        "payload": payload,
        "createdAt": NOW,
        "updatedAt": NOW,
        "attempt": 1,
        "leaseToken": "lease-token",
    }
    return Job.model_validate(wire)


class Deploy:
    """One job, and then none; keeps what it is told."""

    def __init__(self) -> None:
        self.claims, self.log = 0, ""
        self.reports, self.given_back = list[ReportJob](), list[tuple[int, str | None]]()

    async def claim(self, _: ClaimJob) -> Job | None:
        await asyncio.sleep(0)
        self.claims += 1
        return claimed() if self.claims == 1 else None

    async def append_log(self, _: int, log: AppendLog) -> int:
        self.log += log.chunk
        return len(self.log.encode())

    async def report(self, _: int, report: ReportJob) -> Job:
        self.reports.append(report)
        return claimed()

    async def give_back(self, job_id: int, lease_token: str | None, _: str) -> None:
        self.given_back.append((job_id, lease_token))

    async def close(self) -> None:
        return


class Working:
    """A Runner whose Git fetch is ``fetch``, until :meth:`stop`."""

    def __init__(self, workdir: Path, fetch: Callable[[], Awaitable[Any]], **more: Any) -> None:
        self.deploy, self.stopped = Deploy(), asyncio.Event()
        settings = RunnerSettings(
            agent_token=SecretStr("agent-token-1"), slots=1, poll_seconds=1, claim_wait_seconds=0, workdir=workdir, **more
        )

        async def fetched(*_: object) -> Any:
            return await fetch()

        context = SimpleNamespace(
            settings=settings,
            metrics=RunnerMetrics(CollectorRegistry()),
            source=SimpleNamespace(fetch=fetched),
            leases=LeaseKeeper(lambda: cast("RunnerDeployClient", self.deploy), "r", every=1),
        )
        context.leases.start()
        self._leases = context.leases
        loop = ClaimLoop(cast("RunnerContext", context), cast("RunnerDeployClient", self.deploy))
        self._task = asyncio.create_task(loop.run(self.stopped))

    async def stop(self) -> None:
        self.stopped.set()
        await self._task
        await asyncio.to_thread(self._leases.stop)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "ROOM_PAUSE", 0.01)
    monkeypatch.setattr(rooms, "LOOK_SECONDS", 0.01)


def test_is_full_follows_what_is_free_and_what_cannot_be_looked_at(tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    assert not is_full(tmp_path, free.f_bavail * free.f_frsize // 2)
    assert is_full(tmp_path, HUGE)
    assert is_full(tmp_path / "gone", 0)


async def test_slot_without_room_claims_nothing_until_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, looks = tmp_path / "work", list[bool]()

    def looking(workdir: Path, least: int) -> bool:
        looks.append(is_full(workdir, least))
        return looks[-1]

    monkeypatch.setattr(claims, "is_full", looking)

    async def never() -> None:
        raise AssertionError

    working = Working(folder, never)
    try:
        await eventually(lambda: len(looks) >= 3)
        assert all(looks) and working.deploy.claims == 0
        folder.mkdir()
        await eventually(lambda: working.deploy.claims >= 1)
    finally:
        await working.stop()


@pytest.mark.parametrize("error", [JobFailed(FailureCode.BUILD_FAILED, exit=125), OSError(28, "No space left on device")])
async def test_job_that_fails_while_there_is_no_room_is_handed_back(tmp_path: Path, error: Exception) -> None:
    folder = tmp_path / "work"
    folder.mkdir()

    async def fails_for_want_of_room() -> None:
        shutil.rmtree(folder)  # what can't be looked at counts as full
        raise error

    working = Working(folder, fails_for_want_of_room)
    try:
        await eventually(lambda: working.deploy.given_back)
        assert working.deploy.given_back == [(7, "lease-token")] and working.deploy.reports == []
        assert "RUNNER_WORKDIR" in working.deploy.log and working.deploy.claims == 1
    finally:
        await working.stop()


async def test_job_whose_disk_was_full_for_a_moment_is_handed_back(tmp_path: Path) -> None:
    """A builder that found no room removes what it wrote before it says so."""
    folder, gone = tmp_path / "work", tmp_path / "gone"
    folder.mkdir()

    async def full_for_a_moment() -> None:
        folder.rename(gone)
        await eventually(lambda: seen["full"])
        gone.rename(folder)
        raise JobFailed(FailureCode.BUILD_FAILED, exit=1)

    seen, look = {"full": False}, rooms.is_full

    def looking(workdir: Path, least: int) -> bool:
        full = look(workdir, least)
        seen["full"] = seen["full"] or full
        return full

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "is_full", looking)
        working = Working(folder, full_for_a_moment)
        try:
            await eventually(lambda: working.deploy.given_back)
            assert working.deploy.reports == []
        finally:
            await working.stop()


async def test_job_that_fails_with_room_left_is_reported(tmp_path: Path) -> None:
    async def fails() -> None:
        raise JobFailed(FailureCode.BUILD_FAILED, exit=1)

    working = Working(tmp_path, fails)
    try:
        await eventually(lambda: working.deploy.reports)
        failure = working.deploy.reports[0].failure
        assert failure and failure.code is FailureCode.BUILD_FAILED and working.deploy.given_back == []
    finally:
        await working.stop()
