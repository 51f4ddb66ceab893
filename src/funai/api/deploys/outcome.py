"""What a finished job makes of its app. Pure: values in, values out.

::

    SUCCEEDED  READY, serving, slot kept
    FAILED     FAILED with the reason; an earlier release that still serves keeps the slot, else the slot is free
    CANCELLED  as it was before the job
"""

from __future__ import annotations

from dataclasses import dataclass

from funai.contracts import rules
from funai.contracts.jobs import Job
from funai.contracts.reasons import Blame
from funai.contracts.states import AppStatus, JobStatus

MAX_ERROR = 8_000
MAX_URL = 500


@dataclass(frozen=True, slots=True)
class Before:
    """The app as it was when the operation began."""

    status: AppStatus
    slot: bool
    serving: bool


def of_job(job: Job, before: Before) -> dict[str, object]:
    """The columns to change once ``job`` has ended."""
    if job.status is JobStatus.SUCCEEDED:
        changes: dict[str, object] = {"status": int(AppStatus.READY), "slot": 1, "serving": 1, "last_error": None}
        if job.deploy_url:
            changes["deploy_url"] = job.deploy_url if len(job.deploy_url) <= MAX_URL else None
            changes["access_url"] = job.access_url if len(job.access_url or "") <= MAX_URL else None
        port = (job.result.container_port if job.result else None) or job.payload.get("containerPort")
        if rules.port_or_none(port) is not None:
            changes["container_port"] = port
        return changes
    if job.status is JobStatus.FAILED:
        return failed(_why(job), before)
    return undone(before)


def failed(why: str, before: Before) -> dict[str, object]:
    return {"status": int(AppStatus.FAILED), "slot": int(before.serving), "last_error": why[:MAX_ERROR]}


def undone(before: Before) -> dict[str, object]:
    """Nothing came of it."""
    return {"status": int(before.status), "slot": int(before.slot)}


def may_have_left_something(job: Job) -> bool:
    """Whether a container may run although the job didn't succeed.

    A cancel can come a moment after the container did, and a runner can die between the rollout and its report. When
    the app itself was at fault, the node has removed it already.
    """
    if job.runner_id is None or job.status not in (JobStatus.CANCELLED, JobStatus.FAILED):
        return False
    return job.failure is None or job.failure.blame is not Blame.USER


def _why(job: Job) -> str:
    if job.error_message:
        return job.error_message
    return str(job.failure.code) if job.failure else str(job.reason or "FAILED")
