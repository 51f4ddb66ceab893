"""Which generation a request gets, and when it has been done already."""

from __future__ import annotations

import pytest

from funai.agent.rollout.admission import admit, same_release
from funai.agent.workload.contract import AppView, Instance, Phase, Role, view
from funai.contracts.agent import AgentDeploy
from funai.contracts.errors import Conflict


def app(generation: int, role: Role = Role.LIVE, phase: Phase = Phase.RUNNING) -> AppView:
    return view(7, [Instance("i", "rt-u-1-7", 7, role, phase, generation=generation, image="img:1")])


def wanted(generation: int | None, image: str = "img:1") -> AgentDeploy:
    return AgentDeploy(user_id="1", app_id="7", image=image, generation=generation)


def test_without_a_generation_it_is_the_next() -> None:
    assert admit(view(7, []), None) == 1
    assert admit(app(41), None) == 42


@pytest.mark.parametrize("role", [Role.LIVE, Role.STOPPED, Role.RETIRED])
def test_an_older_one_is_refused(role: Role) -> None:
    with pytest.raises(Conflict) as refused:
        admit(app(5, role), 4)
    assert refused.value.reason == "STALE_GENERATION"


def test_a_failed_attempts_leftover_refuses_nobody() -> None:
    assert admit(app(9, Role.CANDIDATE), 5) == 5


def test_a_repeated_request_is_answered_from_what_runs() -> None:
    assert same_release(app(5), wanted(5)) is not None


@pytest.mark.parametrize(
    ("before", "asked"),
    [(app(5), wanted(6)), (app(5), wanted(5, "img:2")), (app(5, phase=Phase.EXITED), wanted(5)), (app(5), wanted(None))],
)
def test_anything_else_is_rolled_out(before: AppView, asked: AgentDeploy) -> None:
    assert same_release(before, asked) is None


def test_what_a_stop_came_after_is_refused() -> None:
    with pytest.raises(Conflict):
        admit(app(5), 8, fence=8)
    assert admit(app(5), 9, fence=8) == 9
    assert admit(app(5), None, fence=8) == 9
