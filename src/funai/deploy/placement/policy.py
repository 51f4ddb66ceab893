"""Which node takes an app: rules over values, without a clock or a connection.

Disk decides twice. A node whose free disk falls under ``drain_pct`` takes nothing new, and under ``min_pct`` no deploy at
all. Both marks are sticky: a node leaves one only when its free disk is ``hysteresis_pct`` above it, so that a node at
the mark doesn't flap. The marks are facts of the node (two flags in its row), decided at each of its heartbeats.

``disk-aware`` takes the candidate with the most free disk, counting what was placed since its last report; one that has
less free memory than an app may ask for comes after all that have it. ``hash`` is
rendezvous hashing by weight: an app's choice depends on the candidates alone, not on their load.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass

from funai.contracts.reasons import WaitReason
from funai.contracts.states import NodeHealth
from funai.deploy.settings import PlacementStrategy

MAX_COST_PCT = 5.0
DEFAULT_COST_PCT = 1.0


@dataclass(frozen=True, slots=True)
class Rules:
    """Percentages are of free disk, 0…100. ``app_bytes`` is what a new app is expected to take of a disk."""

    stale_ms: int = 60_000
    min_pct: float = 15
    drain_pct: float = 25
    hysteresis_pct: float = 2
    strategy: PlacementStrategy = PlacementStrategy.DISK_AWARE
    app_bytes: int = 1024**3
    memory_overcommit: float = 0
    """How many times its memory a node's apps may ask for together; 0: no limit."""


@dataclass(frozen=True, slots=True)
class Node:
    """What is known of a node. ``heartbeat_ms`` is epoch milliseconds, None before its first heartbeat."""

    id: int
    name: str
    agent_base_url: str | None = None
    gateway_base_url: str | None = None
    apps_url: str | None = None
    upstream_url: str | None = None
    enabled: bool = True
    weight: int = 100
    heartbeat_ms: int | None = None
    disk_free_pct: float | None = None
    disk_free_bytes: int | None = None
    drained: bool = False
    unhealthy: bool = False
    placed_since_heartbeat: int = 0
    containers: int = 0
    """Apps that ran there at its last heartbeat."""
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None
    app_memory_bytes: int | None = None
    """What one app there may use; None, 0: not known, or no limit."""

    @property
    def reachable(self) -> bool:
        """Both of its addresses are known."""
        return bool(self.agent_base_url and self.gateway_base_url)

    @property
    def edge_url(self) -> str | None:
        """Where the edge reaches its gateway."""
        return self.upstream_url or self.gateway_base_url


@dataclass(frozen=True, slots=True)
class Marks:
    """The two sticky disk marks of a node."""

    drained: bool = False
    unhealthy: bool = False


def marks_after(before: Marks, disk_free_pct: float | None, rules: Rules) -> Marks:
    """The marks after a heartbeat with this free disk; a heartbeat that doesn't tell leaves them as they are."""
    if disk_free_pct is None:
        return before
    margin = rules.hysteresis_pct
    unhealthy = disk_free_pct < rules.min_pct or (before.unhealthy and disk_free_pct < rules.min_pct + margin)
    drained = disk_free_pct < rules.drain_pct or (before.drained and disk_free_pct < rules.drain_pct + margin)
    return Marks(drained=drained or unhealthy, unhealthy=unhealthy)


def health(node: Node, now_ms: int, rules: Rules) -> NodeHealth:
    """The node's word, most severe first: silent, out of disk, taking nothing new, healthy.

    A heartbeat from far ahead (the clock was set back, or an existing installation's times are local ones) tells nothing.
    """
    if node.heartbeat_ms is None or abs(now_ms - node.heartbeat_ms) >= rules.stale_ms:
        return NodeHealth.STALE
    if node.unhealthy:
        return NodeHealth.UNHEALTHY
    if node.drained or not node.enabled:
        return NodeHealth.DRAINING
    return NodeHealth.HEALTHY


def takes_new(node: Node, now_ms: int, rules: Rules) -> bool:
    """May an app that lives nowhere yet come here?"""
    return node.reachable and health(node, now_ms, rules) is NodeHealth.HEALTHY


def stays(node: Node, now_ms: int, rules: Rules) -> WaitReason | None:
    """May an app that lives here be deployed here again? None, or why it has to wait.

    It is never moved for it: its data and its older release are on this node, and only an operator's reassign or
    drain may decide to leave them.
    """
    if not node.reachable:
        return WaitReason.NO_RUNTIME_NODE
    match health(node, now_ms, rules):
        case NodeHealth.STALE:
            return WaitReason.NO_RUNTIME_NODE
        case NodeHealth.UNHEALTHY:
            return WaitReason.NODE_DISK_PRESSURE
        case _:
            return None


def choose(app_id: int, nodes: Iterable[Node], now_ms: int, rules: Rules) -> Node | WaitReason:
    """The node for an app that lives nowhere yet, or why there is none."""
    known = list(nodes)
    healthy = [n for n in known if takes_new(n, now_ms, rules)]
    candidates = [n for n in healthy if has_memory(n, rules)]
    if not candidates:
        return WaitReason.NODE_MEMORY_PRESSURE if healthy else _why_none(known, now_ms, rules)
    if rules.strategy is PlacementStrategy.HASH:
        return min(candidates, key=lambda n: (_distance(app_id, n), n.id))
    return min(candidates, key=lambda n: _fullness(app_id, n, rules))


def expected_free_pct(node: Node, rules: Rules) -> float | None:
    """Free disk as last reported, less what the apps placed since then are expected to take (at most 5 points each)."""
    if node.disk_free_pct is None:
        return None
    cost = DEFAULT_COST_PCT
    if node.disk_free_bytes and node.disk_free_pct > 0:
        cost = min(MAX_COST_PCT, rules.app_bytes * node.disk_free_pct / node.disk_free_bytes)
    return node.disk_free_pct - cost * node.placed_since_heartbeat


def has_memory(node: Node, rules: Rules) -> bool:
    """Does what its apps may ask for, with one more, stay within the node's memory times the overcommit?"""
    if not (rules.memory_overcommit and node.memory_bytes and node.app_memory_bytes):
        return True
    asked = (node.containers + node.placed_since_heartbeat + 1) * node.app_memory_bytes
    return asked <= node.memory_bytes * rules.memory_overcommit


def short_of_memory(node: Node) -> bool:
    """Would one more app find less free memory than it may ask for? Of the burst since the last heartbeat each asks for all."""
    if node.memory_free_bytes is None or not node.app_memory_bytes:
        return False
    return node.memory_free_bytes < (node.placed_since_heartbeat + 1) * node.app_memory_bytes


def _fullness(app_id: int, node: Node, rules: Rules) -> tuple[bool, bool, float, int, float, int]:
    """Sorts the emptiest first; nodes that don't tell their disk come after, and those short of memory last.

    Ties are broken by the app, so that claims which run at the same time, and don't see each other's choice yet,
    don't all choose the same one.
    """
    free = expected_free_pct(node, rules)
    return (short_of_memory(node), free is None, -(free or 0.0), node.placed_since_heartbeat, _distance(app_id, node), node.id)


def _distance(app_id: int, node: Node) -> float:
    """Weighted rendezvous hashing (Schindelhauer & Schomaker): −ln(u)/weight with u uniform in (0, 1); least wins."""
    digest = hashlib.sha256(f"{app_id}:{node.name}".encode()).digest()
    uniform = (int.from_bytes(digest[:8], "big") + 1) / (2**64 + 1)
    return -math.log(uniform) / max(1, node.weight)


def _why_none(nodes: list[Node], now_ms: int, rules: Rules) -> WaitReason:
    """Disk pressure when a node would take the app if it only had the disk."""
    pressed = any(
        n.enabled and n.reachable and (n.drained or n.unhealthy) and health(n, now_ms, rules) is not NodeHealth.STALE
        for n in nodes
    )
    return WaitReason.NODE_DISK_PRESSURE if pressed else WaitReason.NO_RUNTIME_NODE
