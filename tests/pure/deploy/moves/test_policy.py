"""Which silent nodes count as lost."""

from __future__ import annotations

import pytest

from funai.deploy.moves import policy
from funai.deploy.placement.policy import Node

GRACE = 300_000
NOW = 10_000_000


def fleet(*silent_ms: int | None) -> list[Node]:
    return [Node(id=n, name=f"n{n}", heartbeat_ms=None if s is None else NOW - s) for n, s in enumerate(silent_ms, 1)]


def lost(nodes: list[Node], apps: dict[int, int], since_ms: int = 0) -> tuple[list[int], list[int]]:
    found = policy.lost(nodes, apps, NOW, since_ms, GRACE)
    return [n.id for n in found.nodes], [n.id for n in found.held]


def test_lost_a_silent_node_with_apps_is_lost_after_the_grace() -> None:
    apps = {1: 5, 2: 5, 3: 5}
    assert lost(fleet(0, 0, GRACE - 1), apps) == ([], [])
    assert lost(fleet(0, 0, GRACE), apps) == ([3], [])


def test_lost_a_node_without_apps_or_without_any_heartbeat_is_none() -> None:
    assert lost(fleet(0, 0, GRACE), {1: 5}) == ([], [])
    assert lost(fleet(0, 0, None), {3: 5}) == ([], [])


@pytest.mark.parametrize(
    ("silent", "gone", "held"),
    [
        ((0, GRACE), "2", ""),
        ((GRACE,), "", "1"),
        ((0, GRACE, GRACE), "", "23"),
        ((0, 0, GRACE, GRACE), "34", ""),
        ((0, GRACE, GRACE, GRACE), "", "234"),
    ],
)
def test_lost_more_than_half_at_once_are_held(silent: tuple[int, ...], gone: str, held: str) -> None:
    assert lost(fleet(*silent), dict.fromkeys(range(1, 5), 1)) == ([int(n) for n in gone], [int(n) for n in held])


def test_lost_nodes_that_are_gone_for_long_and_have_no_apps_brake_nothing() -> None:
    assert lost(fleet(0, GRACE, 10 * GRACE, 10 * GRACE), {1: 1, 2: 1}) == ([2], [])


def test_lost_a_silence_from_before_the_service_listened_counts_from_then() -> None:
    assert lost(fleet(0, 10 * GRACE), {2: 1}, since_ms=NOW - GRACE + 1) == ([], [])
    assert lost(fleet(0, 10 * GRACE), {2: 1}, since_ms=NOW - GRACE) == ([2], [])
