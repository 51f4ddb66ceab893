"""One network that all apps share with a proxy in a container (RUNTIME_DOCKER_NETWORK): rules for the apps alone.

The rules are for everything on the network's bridge but the addresses of containers that are no app's, which are looked up
every few seconds. So a new app is never let through; a proxy that was started anew waits for the next look to reach this
host or the platform's machines, but reaches the apps at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from funai.agent.compat import agents
from funai.agent.engine.contract import Engine, Neighbour, NetworkSpec
from funai.agent.network.firewall import Firewall, Rules
from funai.agent.settings import RuntimeSettings
from funai.agent.workload.containers.labels import INSTANCE
from funai.base.observability import log


@dataclass(frozen=True)
class SharedNetwork:
    name: str
    engine: Engine
    firewall: Firewall

    async def look(self) -> None:
        """Look who else is there now. Raises EngineError."""
        await self.firewall.know_peers(others(await self.engine.neighbours(self.name)))


def others(neighbours: Iterable[Neighbour]) -> list[str]:
    """Addresses of what is no app's, of this platform, another one or an older agent."""
    app = re.compile(agents.pattern())
    return [n.address for n in neighbours if INSTANCE not in n.labels and not app.fullmatch(n.name)]


async def share(engine: Engine, settings: RuntimeSettings, rules: Rules) -> SharedNetwork | None:
    """The network with rules of its own; None where it is no bridge of this host. Raises EngineRefused."""
    name = settings.docker_network
    network = await engine.ensure_network(NetworkSpec(name, labels={INSTANCE: settings.instance}))
    if not network.interface or not network.subnet:
        log.get("firewall").warning("firewall.no_bridge", network=name)
        return None
    own = replace(rules, bridges=network.interface, pool=network.subnet, peers=())
    return SharedNetwork(name, engine, Firewall(own))
