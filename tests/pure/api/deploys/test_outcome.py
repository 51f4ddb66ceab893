"""What a finished job makes of its app."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from funai.api.deploys.outcome import Before, may_have_left_something, of_job, undone
from funai.contracts.jobs import Failure, Job, JobResult
from funai.contracts.reasons import Blame
from funai.contracts.states import AppStatus, JobStatus

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEVER_RAN = Before(AppStatus.CREATED, slot=False, serving=False)
SERVES = Before(AppStatus.READY, slot=True, serving=True)
FAILED_BUT_SERVES = Before(AppStatus.FAILED, slot=True, serving=True)


def job(status: JobStatus, **kw: Any) -> Job:
    made: dict[str, Any] = {"id": 1, "type": "BUILD_AND_DEPLOY", "status": status, "payload": {"containerPort": 3000}}
    return Job(**made, created_at=NOW, updated_at=NOW, **kw)


@pytest.mark.parametrize("before", [NEVER_RAN, SERVES, FAILED_BUT_SERVES])
def test_success(before: Before) -> None:
    reached = {"deploy_url": "http://gw/runtime/1/", "access_url": "http://1.apps.test/"}
    done = of_job(job(JobStatus.SUCCEEDED, **reached, result=JobResult(container_port=80)), before)
    assert done == {"status": 3, "slot": 1, "serving": 1, "last_error": None, "container_port": 80, **reached}


def test_a_success_that_tells_nonsense_is_one_all_the_same() -> None:
    """A value its column can't hold would keep the app DEPLOYING for ever."""
    done = of_job(job(JobStatus.SUCCEEDED, deploy_url="h" * 501, result=JobResult(container_port=2**40)), SERVES)
    assert (done["status"], done["deploy_url"]) == (3, None)
    assert "container_port" not in done


@pytest.mark.parametrize(("before", "slot"), [(NEVER_RAN, 0), (SERVES, 1), (FAILED_BUT_SERVES, 1)])
def test_failure_keeps_the_slot_of_what_serves(before: Before, slot: int) -> None:
    assert of_job(job(JobStatus.FAILED, error_message="boom"), before) == {"status": 4, "slot": slot, "last_error": "boom"}


def test_a_failure_without_words_tells_its_code() -> None:
    assert of_job(job(JobStatus.FAILED, failure=Failure(code="NO_NODE")), NEVER_RAN)["last_error"] == "NO_NODE"
    assert len(of_job(job(JobStatus.FAILED, error_message="x" * 100_000), NEVER_RAN)["last_error"]) == 8_000


@pytest.mark.parametrize("before", [NEVER_RAN, SERVES, FAILED_BUT_SERVES])
def test_cancelled_is_as_before(before: Before) -> None:
    assert (
        of_job(job(JobStatus.CANCELLED), before) == undone(before) == {"status": int(before.status), "slot": int(before.slot)}
    )


def test_what_may_still_run_after_a_job_that_did_not_succeed() -> None:
    users, platforms = Failure(code="APP_EXITED", blame=Blame.USER), Failure(code="LEASE_EXPIRED", blame=Blame.PLATFORM)
    assert not may_have_left_something(job(JobStatus.CANCELLED))
    assert may_have_left_something(job(JobStatus.CANCELLED, runner_id="r"))
    assert may_have_left_something(job(JobStatus.FAILED, runner_id="r", failure=platforms))
    assert not may_have_left_something(job(JobStatus.FAILED, runner_id="r", failure=users))
    assert not may_have_left_something(job(JobStatus.SUCCEEDED, runner_id="r"))
