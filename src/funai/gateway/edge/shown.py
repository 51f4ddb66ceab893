"""The table in a proxy: HAProxy's map, or a file that an operator's Traefik watches."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from contextlib import suppress
from typing import Protocol

from prometheus_client import CollectorRegistry

from funai.base.observability import log
from funai.contracts.routes import Route, RouteState
from funai.gateway.edge.config import design
from funai.gateway.edge.settings import EdgeSettings
from funai.gateway.edge.table import Changed, EdgeTable, upstream_of
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.settings import GatewaySettings

WHOLE_FROM = 200
"""So many apps at once are one change of the whole map."""
RESOLVE_SECONDS = 3.0


class Shown(Protocol):
    """A proxy that routes by the table. ``start`` first; ``close`` or ``stop`` last. They raise GatewayError."""

    @property
    def healthy(self) -> bool: ...

    async def start(self, table: EdgeTable, *, sure: bool) -> None:
        """Serve by this table; where it is not ``sure``, by the routes that the proxy was given last."""
        ...

    async def show(self, table: EdgeTable, changed: Changed | None) -> None:
        """Serve by this table from now on, of which ``changed`` differs; None: all of it may."""
        ...

    async def close(self) -> None:
        """The proxy serves on, where it is ours."""
        ...

    async def stop(self) -> None: ...


class Addresses:
    """Nodes' names as addresses: those are what the proxy follows. A name that can't be resolved keeps its last address."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, host: str) -> str | None:
        with suppress(ValueError):
            return str(ipaddress.ip_address(host))
        return self._known.get(host)

    async def refresh(self, table: EdgeTable) -> bool:
        """Look all names up again; whether one leads elsewhere now."""
        hosts = {up.host for node in table.nodes.values() if (up := upstream_of(node.url)) and not _is_address(up.host)}
        found = dict(zip(hosts, await asyncio.gather(*map(_resolved, hosts)), strict=True))
        known = {host: address or self._known.get(host, "") for host, address in found.items()}
        for host, address in known.items():
            if not address:
                log.get("edge").warning("edge.node_unresolved", host=host)
        before, self._known = self._known, {host: address for host, address in known.items() if address}
        return before != self._known


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _resolved(host: str) -> str | None:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(RESOLVE_SECONDS):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            return str(ipaddress.ip_address(found[0][4][0]))
    return None


class HaproxyEdge:
    """A HAProxy of our own."""

    def __init__(self, edge: EdgeSettings, settings: GatewaySettings, registry: CollectorRegistry) -> None:
        self.gateway = HaproxyGateway(settings, registry, public_url=edge.public_url, design=design(edge))
        self._addresses = Addresses()

    @property
    def healthy(self) -> bool:
        return self.gateway.healthy

    async def start(self, table: EdgeTable, *, sure: bool) -> None:
        await self._addresses.refresh(table)
        await self.gateway.start(self._routes(table) if sure else None)
        if table.revision:
            self._assign(table)

    async def show(self, table: EdgeTable, changed: Changed | None) -> None:
        elsewhere = await self._addresses.refresh(table)
        if changed is None or elsewhere or len(changed.apps) >= WHOLE_FROM:
            await self.gateway.replace_all(self._routes(table))
        else:
            for app_id in changed.apps:
                if app_id in table.apps:
                    await self.gateway.put(self._route(table, app_id))
                else:
                    await self.gateway.remove(app_id)
        if changed is None or changed.names:
            self._assign(table)

    def _assign(self, table: EdgeTable) -> None:
        if self.gateway.domains is not None:
            self.gateway.domains.assign(table.domains())

    def _routes(self, table: EdgeTable) -> list[Route]:
        return [self._route(table, app_id) for app_id in table.apps]

    def _route(self, table: EdgeTable, app_id: int) -> Route:
        """STARTING, which an edge shows as a node that is away, where there is no address to go to."""
        upstream = table.upstream(app_id)
        address = self._addresses.of(upstream.host) if upstream else None
        if upstream is None or address is None:
            return Route(app_id, RouteState.STARTING)
        return Route(app_id, host=address, port=upstream.port)

    async def close(self) -> None:
        await self.gateway.close()

    async def stop(self) -> None:
        await self.gateway.stop()
