"""The agent's own look at what its apps need of this host, beside what the firewall keeps: the resolver at their bridge.

Podman's resolver (aardvark-dns) listens at each bridge's address, port 53. When another program has that port, apps wait 5 s
for every name, and neither the engine nor the app says why. Docker answers inside the container and needs no port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address
from pathlib import Path

from funai.agent.network.networks import ADDRESS, bridge_of
from funai.agent.node import Node
from funai.base.observability import log
from funai.base.process import ports
from funai.i18n.reasons import Words

DNS = 53
ANY = "0.0.0.0"
PATIENCE = 2
"""So many looks in a row must find it so: a bridge's resolver starts a moment after the container."""


def bound(table: str, port: int) -> set[str]:
    """The IPv4 addresses at which a UDP socket of this port waits, from the text of ``/proc/net/udp``."""
    found: set[str] = set()
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 1:
            address, _, hexport = columns[1].partition(":")
            if int(hexport, 16) == port:
                found.add(str(IPv4Address(int.from_bytes(bytes.fromhex(address), "little"))))
    return found


def silent_bridges(addresses: Iterable[str], resolvers: Collection[str]) -> list[str]:
    """Bridges of running containers with these addresses at which no resolver waits."""
    return sorted({bridge for a in addresses if a and (bridge := bridge_of(a)) not in resolvers})


class Look:
    """``problem`` is what hinders this node's apps, as it was found last; None while nothing does."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._found = 0
        self.problem: Words | None = None

    async def look(self) -> None:
        """Look once. Raises EngineError."""
        if self._node.info.kind != "podman" or self._node.settings.docker_network:
            return
        apps = await self._node.everything()
        running = [c.labels.get(ADDRESS, "") for app in apps.values() for c in app.all if c.running]
        resolvers = bound(await asyncio.to_thread(_udp_table), DNS)
        silent = silent_bridges(running, resolvers)
        self._found = self._found + 1 if silent else 0
        if self._found < PATIENCE:
            if not silent:
                self._tell(None)
            return
        holder = await asyncio.to_thread(ports.udp_holder, DNS) if ANY in resolvers else None
        self._tell(resolver_problem(silent[0], holder))

    def _tell(self, problem: Words | None) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem:
                log.get("look").warning("node.problem", problem=problem.en)
            else:
                log.get("look").info("node.problem_gone")


def resolver_problem(bridge: str, holder: str | None) -> Words:
    if holder:
        return Words(
            f"{holder} 在所有地址上占用 UDP 53 端口，应用的 DNS（{bridge}:53）无法启动，解析要等 5 秒；请让它只监听 127.0.0.1",
            f"UDP port 53 is held by {holder} on all addresses: the apps' resolver at {bridge}:53 can't start and lookups "
            "take 5 s; let it listen on 127.0.0.1 only",
        )
    return Words(
        f"应用的 DNS（{bridge}:53，aardvark-dns）没有运行，每次解析要等 5 秒：重新部署一个应用会再次启动它",
        f"no resolver answers at {bridge}:53 (aardvark-dns is not running), so each lookup of an app takes 5 s: "
        "the next deploy on this node starts it again",
    )


def _udp_table() -> str:
    try:
        return Path("/proc/net/udp").read_text()
    except OSError:
        return ""
