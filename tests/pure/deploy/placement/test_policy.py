"""Placement's rules as functions of values."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funai.contracts.reasons import WaitReason
from funai.contracts.states import NodeHealth
from funai.deploy.placement.policy import Marks, Node, Rules, choose, expected_free_pct, health, marks_after, stays, takes_new
from funai.deploy.settings import PlacementStrategy

NOW = 1_000_000_000
RULES = Rules()
HASH = Rules(strategy=PlacementStrategy.HASH)


def node(id: int = 1, pct: float | None = 60, **kw: object) -> Node:
    base = Node(
        id=id,
        name=f"n{id}",
        agent_base_url=f"http://n{id}:7005",
        gateway_base_url=f"http://n{id}",
        heartbeat_ms=NOW,
        disk_free_pct=pct,
    )
    marks = marks_after(Marks(), pct, RULES)
    return replace(base, **{"drained": marks.drained, "unhealthy": marks.unhealthy, **kw})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pct", "word"),
    [(100, "HEALTHY"), (25, "HEALTHY"), (24.99, "DRAINING"), (15, "DRAINING"), (14.99, "UNHEALTHY"), (0, "UNHEALTHY")],
)
def test_disk_decides_the_word_at_the_marks(pct: float, word: str) -> None:
    assert health(node(pct=pct), NOW, RULES) == word


def test_a_heartbeat_is_fresh_for_less_than_the_stale_time() -> None:
    assert health(node(heartbeat_ms=NOW - 59_999), NOW, RULES) is NodeHealth.HEALTHY
    assert health(node(heartbeat_ms=NOW - 60_000), NOW, RULES) is NodeHealth.STALE
    assert health(node(heartbeat_ms=None), NOW, RULES) is NodeHealth.STALE
    assert health(node(heartbeat_ms=NOW + 60_000), NOW, RULES) is NodeHealth.STALE, "from a clock that was set back since"


def test_the_gravest_word_wins() -> None:
    assert health(node(enabled=False), NOW, RULES) is NodeHealth.DRAINING
    assert health(node(pct=5, enabled=False), NOW, RULES) is NodeHealth.UNHEALTHY
    assert health(node(pct=5, enabled=False, heartbeat_ms=0), NOW, RULES) is NodeHealth.STALE


def test_a_node_leaves_a_mark_only_clearly_above_it() -> None:
    marks = Marks()
    seen = []
    for pct in (26, 24.9, 25.1, 26.9, 27, 14, 16.9, 17, 26, 27):
        marks = marks_after(marks, pct, RULES)
        seen.append("U" if marks.unhealthy else "D" if marks.drained else "H")
    assert "".join(seen) == "HDDDHUUDDH"


def test_a_heartbeat_without_disk_leaves_the_marks() -> None:
    assert marks_after(Marks(drained=True), None, RULES) == Marks(drained=True)


@given(st.lists(st.floats(0, 100), max_size=30))
def test_marks_never_contradict_the_hard_limits(readings: list[float]) -> None:
    marks = Marks()
    for pct in readings:
        marks = marks_after(marks, pct, RULES)
        assert marks.unhealthy or pct >= RULES.min_pct
        assert marks.drained or pct >= RULES.drain_pct
        assert not (marks.unhealthy and not marks.drained)
        assert not marks.drained or pct < RULES.drain_pct + RULES.hysteresis_pct


@given(st.floats(24, 26), st.lists(st.floats(-0.9, 0.9), min_size=1, max_size=50))
def test_a_node_trembling_around_a_mark_changes_at_most_once(around: float, tremble: list[float]) -> None:
    marks, words = Marks(), []
    for wobble in tremble:
        marks = marks_after(marks, around + wobble, RULES)
        words.append(marks.drained)
    assert sum(a != b for a, b in pairwise(words)) <= 1


def test_what_an_app_that_lives_here_may_do() -> None:
    assert stays(node(), NOW, RULES) is None
    assert stays(node(pct=20), NOW, RULES) is None
    assert stays(node(enabled=False), NOW, RULES) is None
    assert stays(node(pct=10), NOW, RULES) is WaitReason.NODE_DISK_PRESSURE
    assert stays(node(heartbeat_ms=0), NOW, RULES) is WaitReason.NO_RUNTIME_NODE
    assert stays(node(gateway_base_url=None), NOW, RULES) is WaitReason.NO_RUNTIME_NODE


def test_a_new_app_needs_everything() -> None:
    assert takes_new(node(), NOW, RULES)
    for lacking in (
        node(pct=24),
        node(pct=10),
        node(enabled=False),
        node(heartbeat_ms=0),
        node(agent_base_url=None),
        node(gateway_base_url=""),
    ):
        assert not takes_new(lacking, NOW, RULES)


def test_the_emptiest_candidate_wins() -> None:
    assert choose(1, [node(1, 40), node(2, 80), node(3, 90, enabled=False), node(4, 60)], NOW, RULES) == node(2, 80)


def test_a_node_that_does_not_tell_its_disk_is_the_last_choice() -> None:
    assert choose(1, [node(1, None), node(2, 26)], NOW, RULES) == node(2, 26)
    assert choose(1, [node(1, None)], NOW, RULES) == node(1, None)


def test_why_there_is_none() -> None:
    assert choose(1, [], NOW, RULES) is WaitReason.NO_RUNTIME_NODE
    assert choose(1, [node(enabled=False), node(heartbeat_ms=0)], NOW, RULES) is WaitReason.NO_RUNTIME_NODE
    assert choose(1, [node(1, 20), node(2, 10)], NOW, RULES) is WaitReason.NODE_DISK_PRESSURE
    assert choose(1, [node(1, 10, heartbeat_ms=0)], NOW, RULES) is WaitReason.NO_RUNTIME_NODE
    assert choose(1, [node(1, 10, enabled=False)], NOW, RULES) is WaitReason.NO_RUNTIME_NODE


def _burst(nodes: list[Node], count: int, rules: Rules) -> Counter[int]:
    """Place ``count`` apps between two heartbeats."""
    known = {n.id: n for n in nodes}
    placed: Counter[int] = Counter()
    for app_id in range(1, count + 1):
        chosen = choose(app_id, known.values(), NOW, rules)
        assert isinstance(chosen, Node)
        placed[chosen.id] += 1
        known[chosen.id] = replace(chosen, placed_since_heartbeat=chosen.placed_since_heartbeat + 1)
    return placed


def test_a_burst_spreads_over_equal_nodes() -> None:
    assert _burst([node(i, 60) for i in (1, 2, 3, 4)], 100, RULES) == {1: 25, 2: 25, 3: 25, 4: 25}


def test_a_burst_fills_the_emptier_node_up_to_the_others_first() -> None:
    assert _burst([node(1, 60), node(2, 50)], 100, RULES) == {1: 55, 2: 45}


def test_a_burst_on_disks_of_known_size_counts_in_bytes() -> None:
    gib = 1024**3
    big, small = node(1, 50, disk_free_bytes=500 * gib), node(2, 50, disk_free_bytes=50 * gib)
    assert expected_free_pct(replace(big, placed_since_heartbeat=10), RULES) == pytest.approx(49)
    assert expected_free_pct(replace(small, placed_since_heartbeat=10), RULES) == pytest.approx(40)
    placed = _burst([big, small], 110, RULES)
    assert placed[1] == pytest.approx(100, abs=1)


def test_a_burst_is_never_refused_for_what_was_only_estimated() -> None:
    assert _burst([node(1, 26)], 100, RULES) == {1: 100}


def test_hash_depends_on_the_candidates_alone() -> None:
    nodes = [node(i, 60) for i in range(1, 6)]
    before = {app: choose(app, nodes, NOW, HASH) for app in range(1, 500)}
    loaded = [replace(n, placed_since_heartbeat=n.id * 100, disk_free_pct=30.0 + n.id) for n in reversed(nodes)]
    for app, chosen in before.items():
        again = choose(app, loaded, NOW, HASH)
        assert isinstance(chosen, Node)
        assert isinstance(again, Node)
        assert again.id == chosen.id
    for app, chosen in before.items():
        fewer = choose(app, nodes[:-1], NOW, HASH)
        assert isinstance(chosen, Node)
        assert isinstance(fewer, Node)
        assert fewer.id == chosen.id or chosen.id == 5


def test_hash_spreads_by_weight() -> None:
    nodes = [node(1, 60, weight=100), node(2, 60, weight=300)]
    placed = _burst(nodes, 4000, HASH)
    assert placed[2] / placed[1] == pytest.approx(3, rel=0.15)
