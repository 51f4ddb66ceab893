"""Which generation a request gets, and when it has been done already."""

from __future__ import annotations

import pytest

from funai.agent.engine.contract import Container, Phase
from funai.agent.reconcile import state
from funai.agent.reconcile.state import Names
from funai.agent.rollout.admission import admit, same_release
from funai.contracts.agent import AgentDeploy
from funai.contracts.errors import Conflict

NAMES = Names(1, 7)


def app(generation: int, name: str = NAMES.live, phase: Phase = Phase.RUNNING) -> state.AppView:
    labels = {state.APP_ID: "7", state.GENERATION: str(generation), state.IMAGE: "img:1"}
    return state.view(7, [Container("i", name, labels, "img:1", phase)])


def wanted(generation: int | None, image: str = "img:1") -> AgentDeploy:
    return AgentDeploy(user_id="1", app_id="7", image=image, generation=generation)


def test_without_a_generation_it_is_the_next() -> None:
    assert admit(state.view(7, []), None) == 1
    assert admit(app(41), None) == 42


@pytest.mark.parametrize("name", [NAMES.live, NAMES.stopped, NAMES.retired(5)])
def test_an_older_one_is_refused(name: str) -> None:
    with pytest.raises(Conflict) as refused:
        admit(app(5, name), 4)
    assert refused.value.reason == "STALE_GENERATION"


def test_a_failed_attempts_leftover_refuses_nobody() -> None:
    assert admit(app(9, NAMES.candidate(9)), 5) == 5


def test_a_repeated_request_is_answered_from_what_runs() -> None:
    assert same_release(app(5), wanted(5)) is not None


@pytest.mark.parametrize(
    ("before", "asked"),
    [(app(5), wanted(6)), (app(5), wanted(5, "img:2")), (app(5, phase=Phase.EXITED), wanted(5)), (app(5), wanted(None))],
)
def test_anything_else_is_rolled_out(before: state.AppView, asked: AgentDeploy) -> None:
    assert same_release(before, asked) is None


def test_what_a_stop_came_after_is_refused() -> None:
    with pytest.raises(Conflict):
        admit(app(5), 8, fence=8)
    assert admit(app(5), 9, fence=8) == 9
    assert admit(app(5), None, fence=8) == 9
