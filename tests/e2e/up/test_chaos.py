"""A short form of ``make chaos``: a fault in a running platform, and its promises hold."""

from __future__ import annotations

import pytest

from benchmarks.chaos.faults import Fault, Part
from benchmarks.chaos.machine import parts_of
from benchmarks.chaos.rounds import Rounds
from tests.e2e.up.world import Platform


class Chosen(Rounds):
    """One round that costs little time."""

    def plan(self, count: int) -> list[tuple[Part, Fault, str]]:
        return [(p, Fault.KILL, "DEPLOY") for p in self.parts if p.name == "engine"][:count]


@pytest.mark.timeout(300)
async def test_jobs_end_and_nobody_is_served_what_is_old(up: Platform) -> None:
    rounds = Chosen(up, parts_of(up, None), seed=1)
    await rounds.run(1, apps=1)
    assert rounds.report()["violations"] == []
    assert rounds.tally.jobs == 1
