"""Roles: every moment of a rollout, a stop or a start has exactly one reading."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from funai.agent.reconcile import state
from funai.agent.reconcile.state import Desired
from funai.agent.workload.contract import Endpoint, Instance, Phase, Role, view
from funai.contracts.routes import RouteState


def box(role: Role, generation: int, phase: Phase = Phase.RUNNING) -> Instance:
    key = f"{role}-{generation}"
    return Instance(key, key, 7, role, phase, user_id=1, generation=generation, port=3000)


LIVE = box(Role.LIVE, 5)
NEW = box(Role.CANDIDATE, 6)
OLD = box(Role.RETIRED, 5)
OFF = box(Role.STOPPED, 5, Phase.EXITED)


def test_a_candidate_beside_a_live_one_counts_for_nothing() -> None:
    mend = state.repair(view(7, [LIVE, NEW]))
    assert (mend.keep, mend.remove, mend.commit) == (LIVE, (NEW,), False)


def test_a_crash_inside_a_commit_keeps_the_verified_one() -> None:
    mend = state.repair(view(7, [OLD, NEW]))
    assert (mend.desired, mend.keep, mend.commit, mend.drain) == (Desired.SERVING, NEW, True, (OLD,))


def test_a_crash_after_the_commit_drains_the_old_one() -> None:
    live = box(Role.LIVE, 6)
    mend = state.repair(view(7, [OLD, live]))
    assert (mend.keep, mend.drain, mend.remove) == (live, (OLD,), ())


def test_a_retired_one_alone_serves_again() -> None:
    mend = state.repair(view(7, [OLD]))
    assert (mend.desired, mend.keep, mend.commit) == (Desired.SERVING, OLD, True)


def test_a_first_generation_that_was_never_verified_goes() -> None:
    mend = state.repair(view(7, [NEW]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.GONE, None, (NEW,))


def test_a_stopped_app_stays_stopped_whatever_was_tried_over_it() -> None:
    mend = state.repair(view(7, [OFF, NEW]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.STOPPED, OFF, (NEW,))


def test_a_stop_that_was_cut_while_an_older_one_drained_is_a_stop() -> None:
    off = box(Role.STOPPED, 6)
    mend = state.repair(view(7, [OLD, off]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.STOPPED, off, (OLD,))


def test_a_commit_that_was_cut_over_what_had_been_stopped_before_is_a_commit() -> None:
    off = box(Role.STOPPED, 4, Phase.EXITED)
    mend = state.repair(view(7, [OLD, NEW, off]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.SERVING, NEW, (off,))


def test_a_deploy_over_a_stopped_app_leaves_only_the_new_one() -> None:
    live = box(Role.LIVE, 6)
    mend = state.repair(view(7, [OFF, live]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.SERVING, live, (OFF,))


ALL = [LIVE, NEW, OLD, OFF, box(Role.CANDIDATE, 9), box(Role.RETIRED, 3)]
PIECES = st.lists(st.sampled_from(ALL), unique_by=lambda c: c.key)


@given(PIECES)
def test_a_repair_keeps_one_and_accounts_for_all(found: list[Instance]) -> None:
    mend = state.repair(view(7, found))
    kept = [mend.keep] if mend.keep else []
    assert sorted(c.key for c in (*kept, *mend.drain, *mend.remove)) == sorted(c.key for c in found)


@given(PIECES)
def test_whatever_was_verified_is_never_removed_without_a_successor(found: list[Instance]) -> None:
    mend = state.repair(view(7, found))
    if any(c.role is not Role.CANDIDATE for c in found):
        assert mend.keep is not None


@given(PIECES)
def test_a_repair_once_done_is_done(found: list[Instance]) -> None:
    mend = state.repair(view(7, found))
    after = []
    if mend.keep:
        after = [replace(mend.keep, role=Role.LIVE) if mend.commit else mend.keep]
    again = state.repair(view(7, after))
    assert (again.desired, again.commit, again.drain, again.remove) == (mend.desired, False, (), ())


def test_routes_carry_the_generation() -> None:
    route = state.route_to(LIVE, Endpoint("10.0.0.2", 3000))
    assert (route.app_id, route.state, route.generation) == (7, RouteState.SERVING, 5)
    assert state.stopped_route(7).state is RouteState.STOPPED
