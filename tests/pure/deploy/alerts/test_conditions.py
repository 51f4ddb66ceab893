"""What counts as wrong, and its words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from funai.contracts.nodes import RunnerInfo, RuntimeNode
from funai.contracts.states import NodeHealth
from funai.deploy.alerts.conditions import Facts, Limits, wrong
from funai.deploy.alerts.gateways import GatewayState
from funai.i18n.alerts import ALERTS

LIMITS = Limits(drain_pct=25, queue_seconds=300, certificate_days=14)
NOW = datetime(2026, 11, 26, tzinfo=UTC)
WELL = RunnerInfo(runner_id="r1", last_seen_at=NOW, healthy=True)


def node(health: NodeHealth = NodeHealth.HEALTHY, **more: Any) -> RuntimeNode:
    return RuntimeNode.model_validate(
        {"id": 1, "name": "n1", "enabled": True, "weight": 100, "health": health, "disk_free_pct": 60, **more}
    )


def keys(*nodes: RuntimeNode, **more: Any) -> list[str]:
    facts: dict[str, Any] = {
        "nodes": nodes,
        "runners": [WELL],
        "oldest_seconds": 0,
        "retention_failing": False,
        "instance": "d1",
        **more,
    }
    return [alert.key for alert in wrong(Facts(**facts), LIMITS)]


def test_wrong_finds_nothing_where_all_is_well() -> None:
    assert keys(node(), oldest_seconds=300, ending=[("a.test", 14.0)]) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (node(NodeHealth.STALE, disk_free_pct=3, crash_looping=[7]), ["silent:n1"]),
        (node(NodeHealth.STALE, enabled=False, placements=0), []),
        (node(NodeHealth.STALE, enabled=False, placements=2), ["silent:n1"]),
        (node(NodeHealth.DRAINING, disk_free_pct=24.9), ["disk:n1"]),
        (node(NodeHealth.DRAINING, enabled=False), []),
        (node(NodeHealth.UNHEALTHY, disk_free_pct=9), ["unhealthy:n1", "disk:n1"]),
        (node(crash_looping=[7, 9]), ["crashes:n1"]),
        (node(disk_free_pct=None), []),
    ],
)
def test_wrong_of_a_node_is_the_gravest_that_is_known(given: RuntimeNode, expected: list[str]) -> None:
    assert keys(given) == expected


def test_wrong_of_the_platform_names_queue_runners_retention_and_certificates() -> None:
    gone = RunnerInfo(runner_id="r1", last_seen_at=NOW, healthy=False)
    found = keys(runners=[gone], oldest_seconds=301, retention_failing=True, ending=[("a.test", 13.9), ("b.test", -2.0)])
    assert found == ["runners", "queue", "retention:d1", "certificate:a.test", "certificate:b.test"]
    assert keys(runners=[]) == ["runners"]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (GatewayState("edge-1", 1000, 51), ["errors:edge-1"]),
        (GatewayState("edge-1", 1000, 50), []),
        (GatewayState("edge-1", 20, 9), []),  # so few say nothing
        (GatewayState("edge-1", 10, 10), ["errors:edge-1"]),
        (GatewayState("edge-1", 0, 0, [("own.test", 13.9), ("other.test", 14.0)]), ["certificate:own.test"]),
    ],
)
def test_wrong_of_a_gateway_is_its_share_of_5xx_and_what_ends(state: GatewayState, expected: list[str]) -> None:
    assert keys(gateways=[state]) == expected


def test_wrong_names_a_domains_certificate_once_where_a_gateway_has_it_too() -> None:
    found = keys(ending=[("a.test", 3.0)], gateways=[GatewayState("n1", 0, 0, [("a.test", 3.0)])])
    assert found == ["certificate:a.test"]


def test_words_of_every_alert_are_there_in_both_languages() -> None:
    bad = node(NodeHealth.UNHEALTHY, disk_free_pct=9, crash_looping=[7])
    at_gateway = GatewayState("n1", 100, 50, [("own", 1.0)])
    facts = Facts([bad, node(NodeHealth.STALE)], [], 999, True, [("a.test", 1.0)], "d1", [at_gateway])
    alerts = wrong(facts, LIMITS)
    assert {a.reason for a in alerts} == {reason for reason in ALERTS if reason.isupper()}
    for alert in alerts:
        assert alert.words("zh") != alert.words("en")
        assert "{" not in alert.words("zh") + alert.words("en")
