"""Which nodes count as lost: rules over values, without a clock or a connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from funai.deploy.placement.policy import Node


@dataclass(frozen=True, slots=True)
class Lost:
    """``nodes``: silent ones whose apps are started elsewhere. ``held``: silent ones whose apps stay, since so many are
    silent at once that the fault is more likely here, or in the network, than in each of them."""

    nodes: list[Node] = field(default_factory=list[Node])
    held: list[Node] = field(default_factory=list[Node])


def lost(nodes: Iterable[Node], apps: Mapping[int, int], now_ms: int, since_ms: int, grace_ms: int) -> Lost:
    """Nodes that were silent for ``grace_ms``, all of which this service was listening (``since_ms``: from when on).

    Of the nodes that count, which speak or have apps, at most half may be lost at once.
    """
    if now_ms - since_ms < grace_ms:
        return Lost()
    known = [n for n in nodes if n.heartbeat_ms is not None]
    silent = [n for n in known if apps.get(n.id) and not _speaks(n, now_ms, grace_ms)]
    counted = len(silent) + sum(_speaks(n, now_ms, grace_ms) for n in known)
    return Lost(held=silent) if 2 * len(silent) > counted else Lost(nodes=silent)


def _speaks(node: Node, now_ms: int, grace_ms: int) -> bool:
    return node.heartbeat_ms is not None and now_ms - node.heartbeat_ms < grace_ms
