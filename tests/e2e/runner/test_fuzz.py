"""The short form of ``make fuzz-dockerfile``: a few Dockerfiles of the grammar, and no canary sings."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from funai.runner.build import phase
from tests.e2e.runner.world import World
from tests.fuzz.driver import Unread, fuzz
from tests.fuzz.grammar import Grammar, Targets


async def test_fuzz_of_a_few_dockerfiles_finds_nothing(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = tmp_path / "canary"
    canary.mkdir()
    monkeypatch.setattr(phase, "Reading", Unread)
    report = await fuzz(world, canary, Random(7), seconds=60, most=4)
    assert report.tried == 4 and report.findings == []


def test_grammar_with_the_same_seed_makes_the_same_dockerfiles() -> None:
    targets = Targets(("u1-app1",), "/secret", "/srv/x", ("127.0.0.1",), 1, 2)
    one, two = (Grammar(Random(3), targets) for _ in range(2))
    made = [one.make().text for _ in range(200)]
    assert made == [two.make().text for _ in range(200)] and len(set(made)) > 150
