"""The agent's own look at what its apps need of this host, beside what the firewall keeps.

Podman's resolver (aardvark-dns) listens at each bridge's address, port 53. When another program has that port, or a firewall
drops what comes from the bridges, apps wait 5 s for every name, and neither the engine nor the app says why; then the apps
are given the host's own DNS servers. Docker answers inside the container and needs no port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from funai.agent.network.firewall import Firewall
from funai.agent.network.hostfiles import HostFiles
from funai.agent.network.networks import bridge_of
from funai.agent.network.probes import Heard, ask_resolver, reach
from funai.agent.network.walls import WallsKeeper
from funai.agent.node import Node
from funai.agent.workload.contract import Instance, WorkloadError
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

    def __init__(
        self, node: Node, files: HostFiles, firewall: Firewall | None = None, walls: WallsKeeper | None = None
    ) -> None:
        self._node, self._files, self._firewall, self._walls = node, files, firewall, walls
        self._turn = 0
        self._dns_failed = self._unreached = 0
        self.problem: Words | None = None

    async def look(self) -> None:
        """Look once. Raises EngineError."""
        try:
            apps = await self._node.workloads.everything()
        except WorkloadError as e:
            self._tell(engine_problem(self._node.info.title, str(e)))
            raise
        running = [c for app in apps.values() for c in app.all if c.running and c.address]
        shown = await self._reached(running) or await self._resolved(running)
        shown = shown or (self._walls.problem() if self._walls else None)
        self._tell(shown or (self._firewall.disturbed() if self._firewall else None))

    async def _reached(self, running: Sequence[Instance]) -> Words | None:
        """The gateway's way to the apps, tried with one app a look."""
        if not running or self._node.settings.publishes(self._node.info):
            return None
        self._turn += 1
        app = running[self._turn % len(running)]
        heard = await asyncio.to_thread(reach, app.address)
        self._unreached = self._unreached + 1 if heard is Heard.SILENCE else 0
        return unreached_problem(app.address) if self._unreached >= PATIENCE else None

    async def _resolved(self, running: Sequence[Instance]) -> Words | None:
        if self._node.info.kind != "podman" or self._node.settings.docker_network or not running:
            return None
        resolvers = bound(await asyncio.to_thread(_udp_table), DNS)
        silent = silent_bridges([c.address for c in running], resolvers)
        app = running[self._turn % len(running)]
        bridge = silent[0] if silent else bridge_of(app.address)
        blocked = not silent and await asyncio.to_thread(
            ask_resolver, app.pid, (bridge, DNS), f"{app.key[:12]}.dns.podman"
        ) in (
            Heard.SILENCE,
            Heard.REFUSED,
        )
        self._dns_failed = self._dns_failed + 1 if silent or blocked else 0
        if not self._dns_failed:
            await asyncio.to_thread(self._files.ask_hosts_servers, False)
        if self._dns_failed < PATIENCE:
            return self.problem if self._dns_failed else None
        instead = await asyncio.to_thread(self._files.ask_hosts_servers, True)
        if blocked:
            return blocked_problem(bridge, instead)
        holder = await asyncio.to_thread(ports.udp_holder, DNS) if ANY in resolvers else None
        return resolver_problem(bridge, holder, instead)

    def _tell(self, problem: Words | None) -> None:
        if problem != self.problem:
            self.problem = problem
            if problem:
                log.get("look").warning("node.problem", problem=problem.en)
            else:
                log.get("look").info("node.problem_gone")


def engine_problem(engine: str, why: str) -> Words:
    """Apps that run go on, and no heartbeat is sent."""
    shown = " ".join(why.split())[:200]
    return Words(
        f"容器引擎（{engine}）没有正常应答：{shown}；运行中的应用不受影响，但无法部署、启动或停止。请查看引擎的服务和日志"
        "（funai up：数据目录的 log/engine.log；否则 systemctl status podman.socket 或 docker）",
        f"the container engine ({engine}) does not answer as it should: {shown}. Running apps go on; none can be deployed, "
        "started or stopped. Look at its service and log (funai up: log/engine.log in the data dir; "
        "else systemctl status podman.socket, or docker)",
    )


def _meanwhile(instead: bool) -> Words:
    if instead:
        return Words("应用暂时改用本机的 DNS 服务器", "the apps ask this host's own DNS servers meanwhile")
    return Words("解析要等 5 秒", "lookups take 5 s")


def resolver_problem(bridge: str, holder: str | None, instead: bool) -> Words:
    now = _meanwhile(instead)
    if holder:
        return Words(
            f"{holder} 在所有地址上占用 UDP 53 端口，应用的 DNS（{bridge}:53）无法启动，{now.zh}；请让它只监听 127.0.0.1",
            f"UDP port 53 is held by {holder} on all addresses: the apps' resolver at {bridge}:53 can't start and {now.en}; "
            "let it listen on 127.0.0.1 only",
        )
    return Words(
        f"应用的 DNS（{bridge}:53，aardvark-dns）没有运行，{now.zh}：重新部署一个应用会再次启动它",
        f"no resolver answers at {bridge}:53 (aardvark-dns is not running), and {now.en}: "
        "the next deploy on this node starts it again",
    )


def blocked_problem(bridge: str, instead: bool) -> Words:
    now = _meanwhile(instead)
    return Words(
        f"本机的防火墙拦截了应用的 DNS（{bridge}:53），{now.zh}；请放行来自 fu* 网桥的 53 端口（UDP、TCP）",
        f"a firewall of this host drops the apps' DNS at {bridge}:53, and {now.en}; "
        "allow port 53 (UDP and TCP) from the bridges fu*",
    )


def unreached_problem(address: str) -> Words:
    return Words(
        f"本机的防火墙拦截了应用（例如 {address}）的应答，网关无法访问应用；请放行来自 fu* 网桥的已建立连接",
        f"a firewall of this host drops what apps (for one {address}) answer, so the gateway reaches none; "
        "allow established connections from the bridges fu*",
    )


def _udp_table() -> str:
    try:
        return Path("/proc/net/udp").read_text()
    except OSError:
        return ""
