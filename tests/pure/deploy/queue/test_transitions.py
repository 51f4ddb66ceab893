"""The rules of a job's life."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.contracts.errors import Conflict
from funai.contracts.states import JobStatus
from funai.deploy.queue.transitions import Holder, after_lapse, check_transition, held_by, next_turn, wait_delay_ms

P, R, S, F, C = JobStatus.PENDING, JobStatus.RUNNING, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED


@pytest.mark.parametrize(("source", "target"), [(P, C), (R, S), (R, F), (R, C)])
def test_what_may_be_asked_for_by_name(source: JobStatus, target: JobStatus) -> None:
    check_transition(source, target)


@pytest.mark.parametrize(("source", "target"), [(P, R), (P, S), (P, F), (R, P), (R, R), (P, P)])
def test_running_is_entered_by_a_claim_alone(source: JobStatus, target: JobStatus) -> None:
    with pytest.raises(Conflict) as refused:
        check_transition(source, target)
    assert refused.value.reason == "TRANSITION_REFUSED"


@pytest.mark.parametrize("source", [S, F, C])
def test_what_ended_stays_ended(source: JobStatus) -> None:
    with pytest.raises(Conflict) as refused:
        check_transition(source, C)
    assert refused.value.reason == "JOB_FINAL"


def test_a_token_is_exact_and_its_absence_is_lenient() -> None:
    assert held_by("r1", "t2", Holder("r1", "t2"))
    assert held_by("r1", "t2", Holder("r1", None))
    assert not held_by("r1", "t2", Holder("r1", "t1"))
    assert not held_by("r2", "t2", Holder("r1", "t2"))
    assert not held_by(None, None, Holder("r1", None))


@given(st.integers(1, 200), st.integers(1, 100), st.integers(0, 3_600_000))
def test_attempts_are_bounded_and_the_backoff_too(attempt: int, most: int, backoff: int) -> None:
    fate = after_lapse(attempt, most, backoff)
    assert fate.final == (attempt >= most)
    assert 0 <= fate.delay_ms <= 60_000


@given(st.integers(0, 10**10))
def test_a_blocked_job_looks_again_within_15_seconds(waited: int) -> None:
    assert 1_000 <= wait_delay_ms(waited) <= 15_000


def served(arrivals: list[tuple[int, str]]) -> list[str]:
    """Serve one job after each arrival slot by (turn, arrival); answers whose job was served, in order."""
    line: list[tuple[int, int, str]] = []
    out: list[str] = []
    for n, (_, user) in enumerate(arrivals):
        oldest = min(line)[0] if line else None
        last = max((t for t, _, u in line if u == user), default=None)
        line.append((next_turn([oldest], [], [last]), n, user))
    while line:
        line.sort()
        out.append(line.pop(0)[2])
    return out


def test_a_turn_is_not_before_what_is_served_nor_before_ones_own() -> None:
    assert next_turn([None, None], [None, None], [None]) == 0
    assert next_turn([None, 57], [], [None]) == 57, "the line is empty, but what runs has counted that far"
    assert next_turn([60, 57], [], [None]) == 60
    assert next_turn([3, 3], [], [7, None]) == 8


def test_who_waits_for_a_node_has_counted_too() -> None:
    """Else a newcomer's hundred jobs would start at 0, and the next of who waits behind most of them."""
    assert next_turn([None, None], [57, None], [None]) == 57
    assert next_turn([None, None], [57, None], [57]) == 58
    assert next_turn([3, None], [57, None], [None]) == 3, "while something is served, that alone says where the line is"


def test_users_take_turns() -> None:
    order = served([(0, "a")] * 100 + [(0, "b")])
    assert order.index("b") <= 1


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60))
def test_nobody_waits_for_more_than_one_job_of_each_other_between_two_of_their_own(users: list[str]) -> None:
    order = served([(0, u) for u in users])
    assert sorted(order) == sorted(users)
    for user in set(users):
        mine = [i for i, u in enumerate(order) if u == user]
        for before, after in itertools.pairwise(mine):
            between = order[before + 1 : after]
            assert all(between.count(other) <= 2 for other in set(between))
