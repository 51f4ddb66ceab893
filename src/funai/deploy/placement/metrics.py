"""What an operator watches of the nodes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Gauge

from funai.contracts.nodes import RunnerInfo, RuntimeNode
from funai.contracts.states import NodeHealth


class NodeMetrics:
    """One per service, in its registry. A node's series go with the node."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.nodes = Gauge("funai_deploy_nodes", "Runtime nodes by health", ["health"], registry=registry)
        self.state = Gauge("funai_deploy_node_state", "1 for the node's health", ["node", "health"], registry=registry)
        self.memory = Gauge("funai_deploy_node_memory_free_bytes", "Free memory as last told", ["node"], registry=registry)
        self.runners = Gauge("funai_deploy_runners", "Runners seen in a month, by health", ["health"], registry=registry)
        self.disk = Gauge("funai_deploy_node_disk_free_ratio", "Free disk as last told, 0 to 1", ["node"], registry=registry)
        self.apps = Gauge("funai_deploy_node_apps", "Apps that live on the node", ["node"], registry=registry)
        self.looping = Gauge(
            "funai_deploy_node_crash_looping_apps", "Apps that keep crashing there", ["node"], registry=registry
        )

    def show(self, nodes: list[RuntimeNode]) -> None:
        for gauge in (self.state, self.memory, self.disk, self.apps, self.looping):
            gauge.clear()
        for word in NodeHealth:
            self.nodes.labels(word.value).set(sum(n.health is word for n in nodes))
        for node in nodes:
            self.state.labels(node.name, node.health.value).set(1)
            self.apps.labels(node.name).set(node.placements or 0)
            if node.memory_free_bytes is not None:
                self.memory.labels(node.name).set(node.memory_free_bytes)
            self.looping.labels(node.name).set(len(node.crash_looping))
            if node.disk_free_pct is not None:
                self.disk.labels(node.name).set(node.disk_free_pct / 100)

    def show_runners(self, runners: list[RunnerInfo]) -> None:
        healthy = sum(r.healthy for r in runners)
        self.runners.labels("HEALTHY").set(healthy)
        self.runners.labels("STALE").set(len(runners) - healthy)
