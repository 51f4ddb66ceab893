"""What ``funai up`` says when a daemon died: a line each, and no flood."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from funai.base.process.lifecycle import Change, emit, listening
from funai.standalone.notices import AT_MOST, STEADY_SECONDS, Notices


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def hear(said: list[str], clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Change, str], None]:
    monkeypatch.setenv("FUNAI_LANG", "en")
    return Notices(said.append, "funai.log", clock).hear


def test_notices_a_death_and_its_end_are_a_line_each(
    hear: Callable[[str, Change, str], None], said: list[str], clock: Clock
) -> None:
    hear("haproxy", Change.FROZEN, "")
    hear("haproxy", Change.DIED, "")
    clock.now += 0.5
    hear("haproxy", Change.BACK, "")
    assert said == [
        "the gateway (HAProxy) does not answer: replacing it",
        "the gateway (HAProxy) runs again (after 0.5 s)",
    ]


def test_notices_a_restart_that_fails_is_shown_once(hear: Callable[[str, Change, str], None], said: list[str]) -> None:
    for _ in range(5):
        hear("registry", Change.DIED, "")
        hear("registry", Change.FAILED, "[port] taken")
    assert said == ["the registry died: starting it again", "the registry can't be started, and is tried again: [port] taken"]


def test_notices_a_daemon_that_keeps_dying_is_silenced_until_it_is_steady(
    hear: Callable[[str, Change, str], None], said: list[str], clock: Clock
) -> None:
    for _ in range(20):
        clock.now += 1
        hear("engine", Change.DIED, "")
        hear("engine", Change.BACK, "")
    assert len(said) == 2 * AT_MOST + 1
    assert said[-1].endswith("see funai.log")
    clock.now += STEADY_SECONDS + 1
    hear("engine", Change.DIED, "")
    assert said[-1] == "the container engine's API died: starting it again"


def test_emit_reaches_the_listener_of_its_context_alone() -> None:
    heard: list[tuple[str, Change, str]] = []

    def hear(program: str, change: Change, why: str) -> None:
        heard.append((program, change, why))

    with listening(hear):
        emit("registry", Change.DIED)
    emit("registry", Change.BACK)
    assert heard == [("registry", Change.DIED, "")]
