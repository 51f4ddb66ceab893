"""A job as people see it. Pure."""

from __future__ import annotations

from funai.contracts.jobs import Job

HIDDEN = frozenset({"env", "envSealed", "requestId"})
"""Payload fields that are internal to the platform."""


def shown(job: Job) -> Job:
    """Without sealed variables, the API's own marks and a claim's secrets."""
    payload = {k: v for k, v in job.payload.items() if k not in HIDDEN}
    return job.model_copy(update={"payload": payload, "lease_token": None})


def answer_text(job: Job) -> str:
    """What an Idempotency-Key's record keeps."""
    return shown(job).model_dump_json(by_alias=True, exclude_unset=True)
