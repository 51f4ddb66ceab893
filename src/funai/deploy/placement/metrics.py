"""What an operator watches of the nodes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from funai.contracts.nodes import RuntimeNode
from funai.contracts.states import NodeHealth


class NodeMetrics:
    """One per service, in its registry. A node's series go with the node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.nodes = Gauge("funai_deploy_nodes", "Runtime nodes by health", ["health"], registry=registry)
        self.disk = Gauge("funai_deploy_node_disk_free_ratio", "Free disk as last told, 0 to 1", ["node"], registry=registry)
        self.apps = Gauge("funai_deploy_node_apps", "Apps that live on the node", ["node"], registry=registry)
        self.looping = Gauge(
            "funai_deploy_node_crash_looping_apps", "Apps that keep crashing there", ["node"], registry=registry
        )

    def show(self, nodes: list[RuntimeNode]) -> None:
        for gauge in (self.disk, self.apps, self.looping):
            gauge.clear()
        for word in NodeHealth:
            self.nodes.labels(word.value).set(sum(n.health is word for n in nodes))
        for node in nodes:
            self.apps.labels(node.name).set(node.placements or 0)
            self.looping.labels(node.name).set(len(node.crash_looping))
            if node.disk_free_pct is not None:
                self.disk.labels(node.name).set(node.disk_free_pct / 100)
