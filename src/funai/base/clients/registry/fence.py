"""Where a registry's answers may send us: to public addresses, and to what the operator named.

A tenant names registries, and these name redirects and token services. Each host is resolved once and the address that was
looked at is the one that is connected to, so that a name can't mean another address the second time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable

import httpx

from funai.base.clients.proxied import ProxiedTransport
from funai.base.proxies import Proxies
from funai.contracts.apps.addresses import is_private, is_public

RESOLVE_SECONDS = 5
_PORTS = {"http": 80, "https": 443}


class PrivateAddress(httpx.ConnectError):
    """The host is at an address that tenants may not reach through us."""


class FencedTransport(httpx.AsyncBaseTransport):
    """``trusted`` are ``host[:port]`` that are connected to wherever they are. Raises PrivateAddress for others of the
    platform's own networks.

    Behind a proxy it is the proxy that resolves names; addresses and names that are private by their text are refused here.
    """

    def __init__(self, trusted: Iterable[str], proxies: Proxies) -> None:
        self._trusted, self._proxies = {t.lower() for t in trusted}, proxies
        self._open = ProxiedTransport(proxies)
        # A kept connection would be found by its address, which several names share.
        self._pinned = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=100, max_keepalive_connections=0))

    def trust(self, registry: str) -> None:
        self._trusted.add(registry.lower())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, port = request.url.host.lower(), request.url.port or _PORTS.get(request.url.scheme, 443)
        shown = f"[{host}]" if ":" in host else host
        if f"{shown}:{port}" in self._trusted or (port == _PORTS.get(request.url.scheme) and shown in self._trusted):
            return await self._open.handle_async_request(request)
        if is_private(f"{shown}:{port}"):
            raise PrivateAddress(f"{shown}:{port} is a private address", request=request)
        if self._proxies.chosen(str(request.url)):
            return await self._open.handle_async_request(request)
        address = await self._address(host, port, request)
        pinned = httpx.Request(
            request.method,
            request.url.copy_with(host=address),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return await self._pinned.handle_async_request(pinned)

    async def leads_inside(self, host: str, port: int) -> bool:
        """Whether another program that connects to this host, without our proxy, would reach a private address."""
        request = httpx.Request("GET", httpx.URL(scheme="https", host=host, port=port))
        if f"{host}:{port}" in self._trusted or host in self._trusted or self._proxies.chosen(str(request.url)):
            return False
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                await self._address(host, port, request)
        except PrivateAddress:
            return True
        except (httpx.ConnectError, TimeoutError):
            return False
        return False

    async def _address(self, host: str, port: int, request: httpx.Request) -> str:
        """The one that is connected to; every address of the name is public."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as e:
            raise httpx.ConnectError(f"{host}: {e.strerror or e}", request=request) from e
        addresses = [str(info[4][0]).partition("%")[0] for info in found]
        if not addresses or not all(is_public(ipaddress.ip_address(a)) for a in addresses):
            raise PrivateAddress(f"{host} is at a private address", request=request)
        return addresses[0]

    async def aclose(self) -> None:
        await self._open.aclose()
        await self._pinned.aclose()
