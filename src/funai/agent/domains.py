"""Deploy says which names this node's apps have; the gateway brings them into service, and Deploy hears how they are."""

from __future__ import annotations

from funai.agent.node import Node
from funai.base.clients.deploy import NodeDeployClient
from funai.contracts.apps.domains import MAX_PER_NODE, DomainReport, Domains, DomainState, NodeDomains
from funai.contracts.reasons import DomainTrouble


class DomainSync:
    """``domains`` is None where the gateway can't serve names of apps' own; the answer to their owners says so."""

    def __init__(self, node: Node, domains: Domains | None, deploy: NodeDeployClient) -> None:
        self._node, self._domains, self._deploy = node, domains, deploy
        self._unserved: list[DomainReport] = []

    async def exchange(self) -> None:
        """One question. Raises what the client raises; until Deploy answers, all names stay as they are."""
        reports = self._domains.reports() if self._domains else self._unserved
        said = NodeDomains(node_name=self._node.settings.node_name, reports=reports[:MAX_PER_NODE])
        wanted = await self._deploy.domains(said)
        if wanted is None:
            return
        if self._domains:
            self._domains.assign(wanted[:MAX_PER_NODE])
            return
        self._unserved = [
            DomainReport(
                name=route.name,
                app_id=route.app_id,
                state=DomainState.FAILED,
                reason=DomainTrouble.NOT_SUPPORTED,
                details={"name": route.name},
            )
            for route in wanted
            if not route.alias
        ]
