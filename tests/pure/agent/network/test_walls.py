"""The walls that a node was handed: kept, applied to the firewall's rules, and told of when they can't be."""

from __future__ import annotations

from pathlib import Path

from funai.agent.network.firewall import Firewall, Rules
from funai.agent.network.walls import WallsKeeper
from funai.contracts.nodes import Walls

HANDED = Walls(revision="r1", deny=["10.0.0.2", "10.0.0.3:443"], open=["10.0.0.2:443"])


def firewall() -> Firewall:
    """Not put in place: no rule leaves this process."""
    return Firewall(Rules("ab12", "fuab12", "10.208.0.0/13", deny=("10.9.9.9",)))


async def test_walls_handed_out_are_in_the_rules_beside_the_nodes_own(tmp_path: Path) -> None:
    rules = firewall()
    keeper = WallsKeeper(tmp_path / "of" / "walls.json", rules)
    assert keeper.revision == ""
    await keeper.heed(HANDED)
    assert keeper.revision == "r1"
    assert (rules.rules.deny, rules.rules.platform, rules.rules.doors) == (
        ("10.9.9.9",),
        ("10.0.0.2", "10.0.0.3:443"),
        ("10.0.0.2:443",),
    )


async def test_walls_after_a_restart_are_those_handed_out_last(tmp_path: Path) -> None:
    await WallsKeeper(tmp_path / "walls.json", firewall()).heed(HANDED)
    rules = firewall()
    keeper = WallsKeeper(tmp_path / "walls.json", rules)
    await keeper.load()
    assert (keeper.revision, rules.rules.platform) == ("r1", ("10.0.0.2", "10.0.0.3:443"))


async def test_walls_file_with_another_programs_words_counts_as_none(tmp_path: Path) -> None:
    for text in ("", "{}", '{"revision":"r1","deny":["10.0.0.2 -j ACCEPT"]}', '{"revision":"r1","deny":["300.0.0.1"]}'):
        (tmp_path / "walls.json").write_text(text)
        rules = firewall()
        keeper = WallsKeeper(tmp_path / "walls.json", rules)
        await keeper.load()
        assert (keeper.revision, rules.rules.platform) == ("", ()), text


async def test_walls_without_a_firewall_are_a_problem_unless_the_operator_wants_none(tmp_path: Path) -> None:
    for wanted, handed, told in ((True, HANDED, True), (False, HANDED, False), (True, Walls(revision="r2"), False)):
        keeper = WallsKeeper(tmp_path / "walls.json", None, wanted=wanted)
        assert keeper.problem() is None
        await keeper.heed(handed)
        assert (keeper.problem() is not None) is told


async def test_walls_that_iptables_refuses_are_a_problem_until_it_takes_them(tmp_path: Path) -> None:
    rules = firewall()
    keeper = WallsKeeper(tmp_path / "walls.json", rules)
    await keeper.heed(HANDED)
    assert keeper.problem() is None
    rules.refusal = "iptables-restore: line 7 failed"
    problem = keeper.problem()
    assert problem is not None and "line 7 failed" in problem.en and "line 7 failed" in problem.zh
