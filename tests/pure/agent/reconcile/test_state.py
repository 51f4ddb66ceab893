"""Names and labels: every moment of a rollout, a stop or a start has exactly one reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.agent.engine.contract import Container, Phase
from funai.agent.reconcile import state
from funai.agent.reconcile.state import Desired, Names, Role
from funai.contracts.routes import RouteState

NAMES = Names(1, 7)


def box(name: str, generation: int, phase: Phase = Phase.RUNNING) -> Container:
    labels = {state.APP_ID: "7", state.USER_ID: "1", state.GENERATION: str(generation), state.PORT: "3000"}
    return Container(f"id-{name}", name, labels, "img", phase, address="10.0.0.2")


LIVE = box(NAMES.live, 5)
NEW = box(NAMES.candidate(6), 6)
OLD = box(NAMES.retired(5), 5)
OFF = box(NAMES.stopped, 5, Phase.EXITED)


@pytest.mark.parametrize("instance", ["", "demo1"])
def test_the_four_names_are_told_apart(instance: str) -> None:
    names = Names(1, 7, instance)
    made = [names.live, names.candidate(12), names.retired(12), names.stopped]
    assert [state.role(n) for n in made] == [Role.LIVE, Role.CANDIDATE, Role.RETIRED, Role.STOPPED]
    assert len(set(made)) == 4


def test_the_plain_name_is_the_contracts() -> None:
    assert NAMES.live == "rt-u-1-7"


def test_a_candidate_beside_a_live_one_counts_for_nothing() -> None:
    mend = state.repair(state.view(7, [LIVE, NEW]))
    assert (mend.keep, mend.remove, mend.rename_to) == (LIVE, (NEW,), "")


def test_a_crash_between_the_two_renames_keeps_the_verified_one() -> None:
    mend = state.repair(state.view(7, [OLD, NEW]))
    assert (mend.desired, mend.keep, mend.rename_to, mend.drain) == (Desired.SERVING, NEW, NAMES.live, (OLD,))


def test_a_crash_after_the_commit_drains_the_old_one() -> None:
    live = box(NAMES.live, 6)
    mend = state.repair(state.view(7, [OLD, live]))
    assert (mend.keep, mend.drain, mend.remove) == (live, (OLD,), ())


def test_a_retired_one_alone_serves_again() -> None:
    mend = state.repair(state.view(7, [OLD]))
    assert (mend.desired, mend.keep, mend.rename_to) == (Desired.SERVING, OLD, NAMES.live)


def test_a_first_generation_that_was_never_verified_goes() -> None:
    mend = state.repair(state.view(7, [NEW]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.GONE, None, (NEW,))


def test_a_stopped_app_stays_stopped_whatever_was_tried_over_it() -> None:
    mend = state.repair(state.view(7, [OFF, NEW]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.STOPPED, OFF, (NEW,))


def test_a_stop_that_was_cut_while_an_older_one_drained_is_a_stop() -> None:
    off = box(NAMES.stopped, 6)
    mend = state.repair(state.view(7, [OLD, off]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.STOPPED, off, (OLD,))


def test_a_commit_that_was_cut_over_what_had_been_stopped_before_is_a_commit() -> None:
    off = box(NAMES.stopped, 4, Phase.EXITED)
    mend = state.repair(state.view(7, [OLD, NEW, off]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.SERVING, NEW, (off,))


def test_a_deploy_over_a_stopped_app_leaves_only_the_new_one() -> None:
    live = box(NAMES.live, 6)
    mend = state.repair(state.view(7, [OFF, live]))
    assert (mend.desired, mend.keep, mend.remove) == (Desired.SERVING, live, (OFF,))


ALL = [LIVE, NEW, OLD, OFF, box(NAMES.candidate(9), 9), box(NAMES.retired(3), 3)]
PIECES = st.lists(st.sampled_from(ALL), unique_by=lambda c: c.name)


@given(PIECES)
def test_a_repair_keeps_one_and_accounts_for_all(found: list[Container]) -> None:
    mend = state.repair(state.view(7, found))
    kept = [mend.keep] if mend.keep else []
    assert sorted(c.name for c in (*kept, *mend.drain, *mend.remove)) == sorted(c.name for c in found)


@given(PIECES)
def test_whatever_was_verified_is_never_removed_without_a_successor(found: list[Container]) -> None:
    mend = state.repair(state.view(7, found))
    if any(state.role(c.name) is not Role.CANDIDATE for c in found):
        assert mend.keep is not None


@given(PIECES)
def test_a_repair_once_done_is_done(found: list[Container]) -> None:
    mend = state.repair(state.view(7, found))
    after = []
    if mend.keep:
        name = mend.rename_to or mend.keep.name
        after = [Container(mend.keep.id, name, mend.keep.labels, "img", mend.keep.phase)]
    again = state.repair(state.view(7, after))
    assert (again.desired, again.rename_to, again.drain, again.remove) == (mend.desired, "", (), ())


def test_containers_are_grouped_by_their_app_and_strangers_left_out() -> None:
    other = Container("x", "rt-u-2-8", {state.APP_ID: "8"}, "img", Phase.RUNNING)
    stranger = Container("y", "postgres", {}, "img", Phase.RUNNING)
    assert set(state.views([LIVE, other, stranger])) == {7, 8}


def test_routes_carry_the_generation() -> None:
    route = state.route_to(LIVE, "10.0.0.2", 3000)
    assert (route.app_id, route.state, route.generation) == (7, RouteState.SERVING, 5)
    assert state.stopped_route(7).state is RouteState.STOPPED
