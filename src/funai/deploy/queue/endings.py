"""How a job ends: its final word, and what its neighbours learn of it."""

from __future__ import annotations

from dataclasses import dataclass

from funai.base.db.engine import storable
from funai.contracts.jobs import MAX_TEXT, Failure
from funai.contracts.reasons import FailureCode
from funai.contracts.states import JobStatus
from funai.deploy.queue.models import JobRow
from funai.deploy.queue.ports import FinishedJob
from funai.deploy.queue.views import payload_of
from funai.i18n.joblog import both


@dataclass(frozen=True, slots=True)
class Ending:
    """A final word: what the job became, and why."""

    status: JobStatus
    error: str | None = None
    failure: Failure | None = None
    reason: str | None = None

    def values(self) -> dict[str, object]:
        code = self.failure.code if self.failure else None
        blame = self.failure.blame if self.failure else None
        if code and blame is None and code in FailureCode.__members__:
            blame = FailureCode(code).blame
        return {
            "p_status": self.status.value,
            "p_error": storable(self.error[:MAX_TEXT]) if self.error else None,
            "p_code": storable(str(code)[:64]) if code else None,
            "p_blame": str(blame) if blame else None,
            "p_reason": self.reason and storable(self.reason[:64]),
        }

    def as_ended(self) -> dict[str, object]:
        """The columns of a job's row that it changes."""
        values = self.values()
        return {
            "status": values["p_status"],
            "error_message": values["p_error"],
            "failure_code": values["p_code"],
            "reason": values["p_reason"],
        }


TARGET_LOST = Ending(
    JobStatus.FAILED, both("move_target_lost"), Failure(code=FailureCode.NO_NODE), reason=FailureCode.NO_NODE.value
)
"""Of a move: between its begin and its claim the target became one that takes nothing new."""


def moves(row: JobRow) -> bool:
    """Whether the job starts a release on another node, and does nothing else."""
    return finished(row).moved_release is not None


def finished(row: JobRow) -> FinishedJob:
    """The job of an app as releases learn of its end."""
    assert row.app_id is not None
    return FinishedJob(
        job_id=row.id,
        app_id=row.app_id,
        user_id=row.user_id,
        payload=payload_of(row),
        env_sealed=row.env_sealed,
        node_id=row.node_id,
        target_node_id=row.target_node_id,
        attempt=row.attempt,
    )
