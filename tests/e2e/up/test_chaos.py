"""A short form of ``make chaos``: a fault in each part of a platform, and its promises hold."""

from __future__ import annotations

from benchmarks.chaos.faults import Fault, Part
from benchmarks.chaos.machine import parts_of
from benchmarks.chaos.rounds import Rounds
from tests.e2e.up.world import Platform


class Chosen(Rounds):
    """Two rounds that cost little time and are apart in what they break."""

    def plan(self, count: int) -> list[tuple[Part, Fault, str]]:
        part = {p.name: p for p in self.parts}
        return [(part["engine"], Fault.KILL, "DEPLOY"), (part["registry"], Fault.FREEZE, "PUSH")][:count]


async def test_jobs_end_and_nobody_is_served_what_is_old(up: Platform) -> None:
    rounds = Chosen(up, parts_of(up, None), seed=1)
    await rounds.run(2, apps=1)
    assert rounds.report()["violations"] == []
    assert rounds.tally.jobs == 2
