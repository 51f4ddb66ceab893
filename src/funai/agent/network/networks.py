"""Where apps live: each in a network of its own with a subnet from the pool and a bridge whose name is ours.

The bridge's name (``fu`` + four letters of the platform + nine of the app) is what the firewall's one static rule
matches; the subnet being ours lets a container keep one address for its whole life, also when it is restarted.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from funai.agent.engine.contract import Engine, EngineRefused, Network, NetworkSpec
from funai.agent.workload.containers.labels import APP_ID, INSTANCE
from funai.agent.workload.contract import AppView
from funai.base.observability import log

APP_PREFIX = 27
"""30 hosts: the bridge, the live one, and more draining ones than a burst of deploys leaves."""
TRIES = 16
BUILDS = 0
"""Stands for the builds where an app's id is asked for; apps count from 1."""


def platform_tag(instance: str, data_root: str) -> str:
    """Four letters that tell this platform on this engine from any other on the same host."""
    return hashlib.sha256(f"{instance}\0{data_root}".encode()).hexdigest()[:4]


def bridge_prefix(tag: str) -> str:
    return f"fu{tag}"


def bridge_name(tag: str, app_id: int) -> str:
    """At most 15 characters, as the kernel wants it."""
    return bridge_prefix(tag) + hashlib.sha256(str(app_id).encode()).hexdigest()[:9]


def network_name(app_id: int, instance: str = "") -> str:
    return f"rt-net-{app_id}.{instance}" if instance else f"rt-net-{app_id}"


def candidate_subnets(pool: IPv4Network, tag: str, app_id: int, taken: Collection[IPv4Network]) -> Iterator[IPv4Network]:
    """Free subnets of the pool, beginning at a place that depends on the app, so that two agents seldom meet."""
    prefix = max(APP_PREFIX, pool.prefixlen)
    size = 1 << (32 - prefix)
    count = pool.num_addresses // size
    begin = int(hashlib.sha256(f"{tag}/{app_id}".encode()).hexdigest(), 16) % count
    for step in range(count):
        subnet = IPv4Network((int(pool.network_address) + (begin + step) % count * size, prefix))
        if not any(subnet.overlaps(other) for other in taken):
            yield subnet


def free_address(subnet: str, used: Collection[str], after: str = "") -> str:
    """The next free host address behind ``after``, around the end; empty when there is none. The first is the bridge's.

    Going round keeps an address out of use for a while: a proxy may still hold idle connections to whoever had it.
    """
    hosts = [str(host) for host in IPv4Network(subnet).hosts()][1:]
    begin = hosts.index(after) + 1 if after in hosts else 0
    return next((host for host in hosts[begin:] + hosts[:begin] if host not in used), "")


def first_host(subnet: str) -> str:
    """The bridge's address; empty for no subnet."""
    return str(IPv4Network(subnet).network_address + 1) if subnet else ""


def bridge_of(address: str) -> str:
    """The bridge's address in the network of an app's container."""
    return first_host(str(IPv4Network(f"{address}/{APP_PREFIX}", strict=False)))


def routed(table: str) -> list[IPv4Network]:
    """Networks that the host routes somewhere, from the text of ``/proc/net/route`` (without the default route)."""
    found: list[IPv4Network] = []
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 7 and columns[7] != "00000000":
            mask = int(columns[7], 16).bit_count()
            address = int.from_bytes(bytes.fromhex(columns[1]), "little")
            found.append(IPv4Network((address, mask), strict=False))
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where a new container goes. ``address`` is empty when the engine must choose it."""

    network: str
    address: str = ""
    bridge: str = ""
    """The bridge's address, where Podman's resolver listens; empty when the engine chose the subnet by itself."""


Covers = Callable[[Collection[str]], Awaitable[None]]
"""Hears the subnets of all apps' networks, before a container is in a new one."""


async def unwalled(_: Collection[str]) -> None:
    """Nothing listens."""


class Networks:
    """Makes and removes the apps' networks. Calls for one app are serialised by the caller."""

    def __init__(
        self,
        engine: Engine,
        *,
        pool: str,
        instance: str,
        tag: str,
        shared: str = "",
        fixed: bool = True,
        covers: Covers = unwalled,
    ) -> None:
        self._engine, self._instance, self._tag, self._shared = engine, instance, tag, shared
        self._pool = IPv4Network(pool)
        self._fixed, self._covers = fixed, covers
        self._making = asyncio.Lock()
        self._subnets: dict[str, str] = {}
        """Network of an app → its subnet, as passed to ``covers``."""
        self._last: dict[int, str] = {}
        """The address each app's latest container got."""
        self._seen: dict[int, Network] = {}
        """Networks that were there when last used; ``doubt`` forgets one. Listing hundreds takes longer than a switch."""

    async def place(self, app: AppView) -> Place:
        """A place for one more container of the app. Raises EngineRefused."""
        if self._shared:
            network = await self._engine.ensure_network(NetworkSpec(self._shared, labels={INSTANCE: self._instance}))
            return Place(network.name, bridge=first_host(network.subnet))
        network = await self._own(app.app_id)
        if not self._fixed or not network.subnet:
            return Place(network.name, bridge=first_host(network.subnet))
        used = {c.address for c in app.all}
        newest = max(app.all, key=lambda c: c.generation, default=None)
        after = self._last.get(app.app_id) or (newest.address if newest else "")
        self._last[app.app_id] = free_address(network.subnet, used, after)
        return Place(network.name, self._last[app.app_id], first_host(network.subnet))

    async def take_stock(self) -> None:
        """At start: the networks that a former life made."""
        named = re.compile(re.escape(network_name(0, self._instance)).replace("0", "[1-9][0-9]*", 1))
        for network in () if self._shared else await self._engine.networks():
            if named.fullmatch(network.name) and network.subnet:
                self._subnets[network.name] = network.subnet
        await self._covers(self._subnets.values())

    def doubt(self, app_id: int) -> None:
        """Something failed with it: ask the engine the next time."""
        self._seen.pop(app_id, None)

    async def _own(self, app_id: int) -> Network:
        if known := self._seen.get(app_id):
            return known
        network = await self._find_or_make(app_id, network_name(app_id, self._instance))
        if network.subnet:
            self._subnets[network.name] = network.subnet
            await self._covers(self._subnets.values())
        self._seen[app_id] = network
        return network

    async def ensure_builds(self, name: str) -> None:
        """The network that this node's builds run in: its bridge is ours too, so the apps' firewall rules hold for it.

        A build's RUN steps are a tenant's code like any app. Raises EngineRefused.
        """
        await self._find_or_make(BUILDS, name)

    async def remove_builds(self, name: str) -> None:
        """Raises EngineRefused while a build is in it."""
        await self._engine.remove_network(name)

    async def _find_or_make(self, app_id: int, name: str) -> Network:
        async with self._making:
            known = await self._engine.networks()
            for network in known:
                if network.name == name:
                    return network
            taken = [IPv4Network(n.subnet) for n in known if n.subnet] + routed(await asyncio.to_thread(_route_table))
            refusal: EngineRefused | None = None
            for tried, subnet in enumerate(candidate_subnets(self._pool, self._tag, app_id, taken)):
                if tried == TRIES:
                    break
                try:
                    return await self._engine.ensure_network(self._spec(name, str(subnet), app_id))
                except EngineRefused as e:
                    refusal = e
                    log.get("network").info("network.subnet_refused", subnet=str(subnet), why=str(e))
            raise refusal or EngineRefused(f"no free subnet is left in RUNTIME_APP_SUBNETS ({self._pool})")

    def _spec(self, name: str, subnet: str, app_id: int) -> NetworkSpec:
        labels = {INSTANCE: self._instance} if app_id == BUILDS else {INSTANCE: self._instance, APP_ID: str(app_id)}
        return NetworkSpec(name, subnet, bridge_name(self._tag, app_id), isolate=True, labels=labels)

    async def forget(self, app_id: int) -> None:
        """Remove the app's own network, when nothing is in it any more. A network in use is left alone."""
        if self._shared:
            return
        self.doubt(app_id)
        self._last.pop(app_id, None)
        name = network_name(app_id, self._instance)
        try:
            await self._engine.remove_network(name)
        except EngineRefused as e:
            log.get("network").info("network.kept", app_id=app_id, why=str(e))
            return
        if self._subnets.pop(name, ""):
            await self._covers(self._subnets.values())


def _route_table() -> str:
    try:
        return Path("/proc/net/route").read_text()
    except OSError:
        return ""
