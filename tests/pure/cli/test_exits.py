from __future__ import annotations

import pytest

from funai.base.clients.transport import Unreachable
from funai.cli.exits import Exit, exit_for_error, exit_for_job
from funai.contracts import errors
from funai.contracts.errors import FunaiError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.BadInput(), 2),
        (errors.Unauthenticated(), 3),
        (errors.Forbidden(), 4),
        (errors.NotFound("APP_NOT_FOUND"), 5),
        (errors.Conflict("QUOTA_RUNNING_APPS", limit=3), 4),
        (errors.TooLarge(limit="1"), 4),
        (errors.TooMany(seconds=1), 4),
        (errors.CalleeFailed(service="x", detail="y"), 6),
        (errors.Unavailable(), 6),
        (Unreachable("api", "refused", sent=False), 6),
        (FunaiError(), 6),
        (errors.RemoteError(418, "TEAPOT", "no"), 6),
    ],
)
def test_a_refusal_has_the_documented_exit_status(error: FunaiError, expected: int) -> None:
    assert exit_for_error(error) == expected


@pytest.mark.parametrize(
    ("status", "blame", "expected"),
    [
        ("SUCCEEDED", None, Exit.OK),
        ("FAILED", "user", Exit.FAILED),
        ("FAILED", None, Exit.FAILED),
        ("FAILED", "platform", Exit.PLATFORM),
        ("CANCELLED", None, Exit.CANCELLED),
    ],
)
def test_a_job_that_ended_tells_whose_fault_it_was(status: str, blame: str | None, expected: Exit) -> None:
    assert exit_for_job(status, blame) is expected
