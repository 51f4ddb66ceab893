"""Counting ends, and starting ever more slowly."""

from __future__ import annotations

from itertools import pairwise

from funai.agent.reconcile.crashes import LONGEST_PAUSE, LOOP_AFTER, STEADY_SECONDS, Crashes


def test_one_end_is_started_again_and_is_no_loop() -> None:
    crashes = Crashes()
    assert not crashes.saw(7, "a", running=True, engine_restarts=0, now=0)
    assert crashes.saw(7, "a", running=False, engine_restarts=0, now=5)
    crashes.started(7)
    assert crashes.of(7).restarts == 1
    assert crashes.looping == []


def test_repeated_ends_are_a_loop_and_the_pauses_grow() -> None:
    crashes, now, starts = Crashes(), 0.0, []
    crashes.saw(7, "a", running=True, engine_restarts=0, now=now)
    while now < 3600:
        now += 5
        if crashes.saw(7, "a", running=False, engine_restarts=0, now=now):
            starts.append(now)
            crashes.started(7)
    assert crashes.of(7).looping
    pauses = [b - a for a, b in pairwise(starts)]
    assert pauses == sorted(pauses)
    assert LONGEST_PAUSE <= pauses[-1] <= LONGEST_PAUSE + 5


def test_the_engines_own_restarts_count() -> None:
    crashes = Crashes()
    crashes.saw(7, "a", running=True, engine_restarts=0, now=0)
    crashes.saw(7, "a", running=True, engine_restarts=LOOP_AFTER, now=5)
    assert crashes.looping == [7]


def test_a_loop_that_ended_is_forgotten_once_it_runs_steadily() -> None:
    crashes = Crashes()
    crashes.saw(7, "a", running=True, engine_restarts=0, now=0)
    crashes.saw(7, "a", running=True, engine_restarts=5, now=5)
    crashes.saw(7, "a", running=True, engine_restarts=5, now=5 + STEADY_SECONDS)
    assert crashes.looping == []


def test_a_new_container_begins_anew() -> None:
    crashes = Crashes()
    crashes.saw(7, "a", running=True, engine_restarts=0, now=0)
    crashes.saw(7, "a", running=True, engine_restarts=5, now=1)
    crashes.saw(7, "b", running=True, engine_restarts=0, now=2)
    assert crashes.looping == []
    assert crashes.of(7).restarts == 0


def test_apps_that_are_gone_are_forgotten() -> None:
    crashes = Crashes()
    crashes.saw(7, "a", running=True, engine_restarts=0, now=0)
    crashes.saw(7, "a", running=True, engine_restarts=5, now=1)
    crashes.keep_only(set())
    assert crashes.looping == []


def test_how_it_ended_last_is_known_while_it_runs_again() -> None:
    crashes = Crashes()
    crashes.saw(7, "a", running=False, engine_restarts=0, now=0, exit_code=3)
    crashes.saw(7, "a", running=True, engine_restarts=0, now=5)
    assert crashes.of(7).exit_code == 3
    crashes.saw(7, "b", running=True, engine_restarts=0, now=6)
    assert crashes.of(7).exit_code is None
