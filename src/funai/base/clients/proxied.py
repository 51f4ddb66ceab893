"""An httpx transport that asks :mod:`funai.base.proxies` for each request which way it goes."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Self

import httpx

from funai.base.proxies import Proxies


class ProxiedTransport(httpx.AsyncBaseTransport):
    """Direct connections, and one connection pool for each proxy in use. ``verify`` is as for httpx."""

    def __init__(self, proxies: Proxies, *, verify: ssl.SSLContext | bool = True, limits: httpx.Limits | None = None) -> None:
        self._proxies, self._verify = proxies, verify
        self._limits = limits or httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)
        self._pools: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        chosen = self._proxies.chosen(str(request.url))
        proxy = chosen[0] if chosen else None
        pool = self._pools.get(proxy)
        if pool is None:
            pool = httpx.AsyncHTTPTransport(verify=self._verify, limits=self._limits, proxy=proxy)
            self._pools[proxy] = pool
        return await pool.handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._pools.values():
            await pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()
