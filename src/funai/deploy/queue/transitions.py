"""The rules of a job's life as functions of values: no clock, no connection.

::

    PENDING ──claim──► RUNNING ──report──► SUCCEEDED | FAILED | CANCELLED
       ▲  └─cancel─► CANCELLED     │
       └──────rescue, attempts left─┘──lapse, none left──► FAILED
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from funai.contracts.errors import Conflict
from funai.contracts.reasons import Reason
from funai.contracts.states import FINAL_STATUSES, JobStatus


class Claimable(IntEnum):
    """Whether a PENDING job may be claimed, as the column ``claimable`` holds it."""

    WAITS_FOR_NODE = 0
    NOW = 1
    BACKS_OFF = 2
    """Its next attempt is not due yet."""


MAX_BACKOFF_MS = 60_000
BACKOFF = "BACKOFF"
"""Why a rescued job waits: its next attempt is not due yet."""

_ALLOWED: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.PENDING: frozenset({JobStatus.CANCELLED}),
    JobStatus.RUNNING: FINAL_STATUSES,
}


def check_transition(source: JobStatus, target: JobStatus) -> None:
    """Transitions that a caller may request by name. Only a claim enters RUNNING; only creation and rescue enter PENDING."""
    if source.final:
        raise Conflict(Reason.JOB_FINAL, status=source)
    if target not in _ALLOWED[source]:
        raise Conflict(Reason.TRANSITION_REFUSED, source=source, target=target)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who says it holds a job. Runners in the field know no token; ours always send it."""

    runner_id: str
    lease_token: str | None


def held_by(runner_id: str | None, lease_token: str | None, who: Holder) -> bool:
    """Whether the job's last claim was ``who``'s. A token, where one is given, is exact to the attempt."""
    return runner_id == who.runner_id and (who.lease_token is None or lease_token == who.lease_token)


def next_turn(served: Iterable[int | None], waiting: Iterable[int | None], users_last: Iterable[int | None]) -> int:
    """A new job's place in the fair order: after the user's own last one, and never before the turn now being served.

    Start-time fair queueing (Goyal, Vin, Cheng 1996) with every job of cost 1: jobs are claimed by (turn, id), so a user
    who comes to a long queue of another's is next after at most one job of that other. ``served`` are the turns of the
    line's head and of what runs: without the latter turns would begin anew whenever no job waits, far before whom a
    running job has counted up. With nothing served, the least turns of the jobs that wait for a node or their next
    attempt (``waiting``) stand for it, for the same reason.
    """
    now = [turn for turn in served if turn is not None] or [turn for turn in waiting if turn is not None]
    own = (last + 1 for last in users_last if last is not None)
    return max([0, *now, *own])


@dataclass(frozen=True, slots=True)
class Lapse:
    """What becomes of a job whose lease ran out in ``attempt``: it ends, or waits ``delay_ms`` for its next attempt."""

    final: bool
    delay_ms: int


def after_lapse(attempt: int, max_attempts: int, backoff_ms: int) -> Lapse:
    """Bounded attempts, doubling backoff up to a minute."""
    if attempt >= max_attempts:
        return Lapse(final=True, delay_ms=0)
    return Lapse(final=False, delay_ms=min(MAX_BACKOFF_MS, backoff_ms * 2 ** min(attempt - 1, 20)) if backoff_ms else 0)


def wait_delay_ms(waited_ms: int) -> int:
    """How long a job that found no node stays out of the claimers' way: an eighth of its wait so far, 1 to 15 seconds."""
    return max(1_000, min(15_000, waited_ms // 8))
