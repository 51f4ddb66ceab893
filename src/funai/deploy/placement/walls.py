"""The platform's addresses, which no app may reach on any node: made here, handed out with heartbeats.

Known are Deploy itself, its database's machine, every node's machine, the registry whose images Deploy removes, callers that
the doors' address lists name one by one, and what the operator adds. Names are resolved here. Loopback is left out: in an
app's network it is the app itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network, ip_network
from urllib.parse import urlsplit

from sqlalchemy import make_url

from funai.base.aio import periodic
from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.errors import ConfigError
from funai.contracts.nodes import MAX_WALLS, Walls
from funai.deploy.placement import store
from funai.deploy.placement.policy import Node
from funai.deploy.settings import DeploySettings

EVERY_SECONDS = 5.0
LOOKUP_SECONDS = 60.0
"""How long a name's addresses count."""
LOOKUPS = 16
"""Names looked up at the same time."""
DISCARD = 9


@dataclass(frozen=True, slots=True)
class Target:
    """A host (name, IPv4 address or network), and a TCP port or all of it."""

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """From ``host``, ``host:port``, ``10.0.0.0/24`` or a URL, whose port counts when it is written. Raises ValueError."""
        if "://" in text:
            parts = urlsplit(text)
            return cls(parts.hostname or _refuse(text), parts.port)
        host, colon, port = text.strip().partition(":")
        if not host or (colon and not (port.isdecimal() and 0 < int(port) < 65536)) or (colon and "/" in host):
            _refuse(text)
        if "/" in host:
            IPv4Network(host)
        return cls(host, int(port) if colon else None)


def _refuse(text: str) -> str:
    raise ValueError(f"{text!r} must look like 10.0.0.5, 10.0.0.5:443, 10.0.0.0/24, a name, or a URL")


def doors(node: Node) -> list[Target]:
    """Where the public reaches the node's apps: a port of a machine that may be denied."""
    if not node.gateway_base_url:
        return []
    parts = urlsplit(node.gateway_base_url)
    return [Target(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))] if parts.hostname else []


def machines(node: Node) -> list[Target]:
    """The node itself, by the addresses that the platform uses inside."""
    urls = (node.agent_base_url, node.upstream_url)
    return [Target(host) for url in urls if url and (host := urlsplit(url).hostname)]


def of_settings(settings: DeploySettings) -> list[Target]:
    """Raises ConfigError."""
    found = _parsed("deploy.walls.deny", settings.walls_deny)
    if host := make_url(settings.datasource_url).host:
        found.append(Target(host))
    if settings.cleanup_registry:
        found.append(_registry(settings.cleanup_registry))
    if settings.host not in ("", "0.0.0.0", "::"):
        found.append(Target(settings.host))
    named = (settings.proxy_auth_allowed_ips, settings.runner_allowed_ips, settings.edge_allowed_ips)
    return found + [Target(one.removesuffix("/32")) for ips in named for one in ips if _single(one)]


def _registry(address: str) -> Target:
    host, _, port = address.partition(":")
    return Target(host, int(port) if port.isdecimal() else 443)


def _single(entry: str) -> bool:
    """One IPv4 address; a network is too much to deny unasked."""
    try:
        return IPv4Network(entry).prefixlen == 32
    except ValueError:
        return False


def _parsed(key: str, entries: Iterable[str]) -> list[Target]:
    try:
        return [Target.parse(entry) for entry in entries]
    except ValueError as e:
        raise ConfigError([f"{key}: {e}"]) from e


def walls(deny: Iterable[str], open_: Iterable[str]) -> Walls:
    """As handed out: sorted, each once, with a revision that is the same for the same entries at every instance."""
    denied, opened = sorted(set(deny))[:MAX_WALLS], sorted(set(open_))[:MAX_WALLS]
    revision = hashlib.sha256("\0".join([*denied, "", *opened]).encode()).hexdigest()[:16]
    return Walls(revision=revision, deny=denied, open=opened)


def entries(address: str, port: int | None) -> list[str]:
    """The entry for an IPv4 address or network; none for loopback, "any" and what is no IPv4."""
    try:
        network = IPv4Network(address, strict=False)
    except (AddressValueError, ValueError):
        return []
    if network.is_loopback or network.network_address == IPv4Address(0):
        return []
    where = str(network.network_address) if network.prefixlen == 32 else str(network)
    return [f"{where}:{port}" if port else where]


@dataclass
class WallsMaker:
    """Config · start · run_once. ``now`` is what heartbeats are answered with: None until it was made once."""

    db: Database
    settings: DeploySettings
    now: Walls | None = None
    _known: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Name → its addresses as last resolved: one that can't be looked up for a while stays denied."""
    _due: dict[str, float] = field(default_factory=dict[str, float])
    """Name → when it is looked up again."""
    _addresses: list[tuple[str | None, ...]] = field(default_factory=list[tuple[str | None, ...]])
    """Of the nodes that ``now`` was made from."""
    _stale_at: float = 0.0

    def __post_init__(self) -> None:
        self._fixed = of_settings(self.settings)
        self._open = _parsed("deploy.walls.open", self.settings.walls_open)

    def start(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        if self.settings.walls_enabled:
            tasks.create_task(periodic("deploy.walls", EVERY_SECONDS, self.run_once, stop), name="deploy.walls")

    async def run_once(self) -> Walls:
        """Make them anew when a node's addresses changed or a name is to be looked up again; else return those there are."""
        async with self.db.read() as conn:
            nodes = await store.nodes(conn)
        addresses = [(n.agent_base_url, n.upstream_url, n.gateway_base_url) for n in nodes]
        if self.now is None or addresses != self._addresses or time.monotonic() >= self._stale_at:
            self._stale_at = time.monotonic() + LOOKUP_SECONDS
            self.now, self._addresses = await self._make(nodes), addresses
        return self.now

    async def _make(self, nodes: Sequence[Node]) -> Walls:
        denied = [*self._fixed, *(t for n in nodes for t in machines(n))]
        opened = [*self._open, *(t for n in nodes for t in doors(n))]
        deny = await self._resolved(denied)
        if self.settings.host in ("", "0.0.0.0"):
            deny += await asyncio.to_thread(facing, [entry.partition(":")[0].partition("/")[0] for entry in deny])
        made = walls(deny, await self._resolved(opened))
        self._stale_at = min([self._stale_at, *(self._due[t.host] for t in (*denied, *opened) if t.host in self._due)])
        if self.now is None or made.revision != self.now.revision:
            log.get("walls").info("walls.made", revision=made.revision, denied=len(made.deny), open=len(made.open))
        return made

    async def _resolved(self, targets: Sequence[Target]) -> list[str]:
        turn = asyncio.Semaphore(LOOKUPS)
        now = time.monotonic()
        names = sorted({t.host for t in targets if _is_name(t.host) and self._due.get(t.host, now) <= now})
        await asyncio.gather(*(self._look_up(name, turn) for name in names))
        return [entry for t in targets for address in self._known.get(t.host, [t.host]) for entry in entries(address, t.port)]

    async def _look_up(self, name: str, turn: asyncio.Semaphore) -> None:
        async with turn:
            self._due[name] = time.monotonic() + LOOKUP_SECONDS
            try:
                answers = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
            except (OSError, UnicodeError) as e:
                if name not in self._known:
                    log.get("walls").warning("walls.unresolved", host=name, why=str(e))
                self._known.setdefault(name, [])
            else:
                self._known[name] = sorted({str(answer[4][0]) for answer in answers})


def _is_name(host: str) -> bool:
    """Neither an IPv4 address or network, nor an IPv6 address."""
    try:
        ip_network(host, strict=False)
    except ValueError:
        return True
    return False


def facing(others: Iterable[str]) -> list[str]:
    """This machine's own addresses towards those machines; nothing is sent."""
    found: set[str] = set()
    for other in set(others):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.connect((other, DISCARD))
            except OSError:
                continue
            found.update(entries(sock.getsockname()[0], None))
    return sorted(found)
