"""What is wrong, from what is known. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from funai.contracts.nodes import RunnerInfo, RuntimeNode
from funai.contracts.states import NodeHealth
from funai.deploy.alerts.gateways import GatewayState
from funai.i18n.alerts import alert_words

OWN = "retention:"
"""Of what one instance of Deploy alone knows: the others leave it as it is."""


@dataclass(frozen=True, slots=True)
class Limits:
    drain_pct: float
    queue_seconds: float
    certificate_days: float
    errors_pct: float = 5
    errors_least: int = 10


@dataclass(frozen=True, slots=True)
class Facts:
    """``oldest_seconds`` is the age of the queue's head, 0 for an empty queue; ``ending`` days by domain."""

    nodes: Sequence[RuntimeNode]
    runners: Sequence[RunnerInfo]
    oldest_seconds: float
    retention_failing: bool
    ending: Sequence[tuple[str, float]] = ()
    instance: str = ""
    """Which instance of Deploy looks."""
    gateways: Sequence[GatewayState] = ()


@dataclass(frozen=True, slots=True)
class Alert:
    """``key`` names the thing that is wrong, the same as long as it is; ``reason`` and ``about`` make its words."""

    key: str
    reason: str
    about: dict[str, object]

    def words(self, language: str) -> str:
        return alert_words(self.reason, language, self.about)


def wrong(facts: Facts, limits: Limits) -> list[Alert]:
    """Everything that is wrong now, nodes first."""
    found = [alert for node in facts.nodes for alert in _of_node(node, limits)]
    if not any(r.healthy for r in facts.runners):
        found.append(Alert("runners", "NO_RUNNER", {}))
    if facts.oldest_seconds > limits.queue_seconds:
        found.append(Alert("queue", "QUEUE_STUCK", {"minutes": round(facts.oldest_seconds / 60)}))
    if facts.retention_failing:
        found.append(Alert(f"{OWN}{facts.instance}", "RETENTION_FAILING", {}))
    for domain, days in facts.ending:
        if days < limits.certificate_days:
            found.append(Alert(f"certificate:{domain}", "CERTIFICATE_ENDS", {"domain": domain, "days": max(0, int(days))}))
    known = {alert.key for alert in found}
    for gateway in facts.gateways:
        found += [alert for alert in _of_gateway(gateway, limits) if alert.key not in known]
    return found


def _of_gateway(gateway: GatewayState, limits: Limits) -> Iterator[Alert]:
    """A certificate is the platform's own where no domain of that name is known."""
    if gateway.failed >= limits.errors_least and 100 * gateway.failed > limits.errors_pct * gateway.requests:
        share = round(100 * gateway.failed / max(1, gateway.requests))
        about: dict[str, object] = {"gateway": gateway.name, "failed": gateway.failed, "share": share}
        yield Alert(f"errors:{gateway.name}", "GATEWAY_ERRORS", about)
    for name, days in gateway.ending:
        if days < limits.certificate_days:
            about = {"gateway": gateway.name, "certificate": name, "days": max(0, int(days))}
            yield Alert(f"certificate:{name}", "GATEWAY_CERTIFICATE_ENDS", about)


def _of_node(node: RuntimeNode, limits: Limits) -> Iterator[Alert]:
    """A silent node's disk is not known; one that is disabled and empty is on its way out."""
    about: dict[str, object] = {"node": node.name, "free": f"{node.disk_free_pct or 0:.0f}", "apps": node.placements or 0}
    if node.health is NodeHealth.STALE:
        if node.enabled or node.placements:
            yield Alert(f"silent:{node.name}", "NODE_SILENT", about)
        return
    if node.health is NodeHealth.UNHEALTHY:
        yield Alert(f"unhealthy:{node.name}", "NODE_UNHEALTHY", about)
    if node.disk_free_pct is not None and node.disk_free_pct < limits.drain_pct:
        yield Alert(f"disk:{node.name}", "NODE_DISK_LOW", about)
    if node.crash_looping:
        apps = ", ".join(map(str, node.crash_looping[:10]))
        yield Alert(f"crashes:{node.name}", "APPS_CRASHING", {**about, "count": len(node.crash_looping), "ids": apps})
