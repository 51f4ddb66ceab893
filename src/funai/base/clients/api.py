"""The API as the command line and the console see it: accounts, apps, deploys, log streams."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from funai.base.clients.api_accounts import AccountCalls
from funai.base.clients.api_admin import AdminCalls
from funai.base.clients.api_apps import AppCalls
from funai.base.clients.api_calls import BASE, owned
from funai.base.clients.api_deploys import DeployCalls
from funai.base.clients.transport import Transport, Unreachable, error_of
from funai.base.proxies import Proxies
from funai.contracts.jobs import LogSlice


class ApiClient(AccountCalls, AppCalls, DeployCalls, AdminCalls):
    """``headers`` carry the login (``Authorization`` or ``X-API-Key``) and the language. ``timeout`` seconds a call."""

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 30,
        http: httpx.AsyncBaseTransport | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self.transport = Transport("api", base_url, headers, timeout=timeout, http=http, proxies=proxies)

    async def job_log(self, job_id: int, offset: int) -> LogSlice:
        """What there is of the log from byte ``offset``, in a bounded slice; go on from ``nextOffset``."""
        params = {"jobId": job_id, "offset": offset}
        return LogSlice.model_validate(await self.transport.data("GET", f"{BASE}/deploy/job/logs", params=params))

    async def job_log_tail(self, job_id: int, limit: int) -> LogSlice:
        """The last ``limit`` bytes of the log."""
        params = {"jobId": job_id, "tail": limit}
        return LogSlice.model_validate(await self.transport.data("GET", f"{BASE}/deploy/job/logs", params=params))

    @asynccontextmanager
    async def job_log_stream(self, job_id: int, offset: int) -> AsyncIterator[httpx.Response]:
        """The SSE stream of the log from byte ``offset``; ends when the job has ended and all was sent."""
        params = {"jobId": job_id, "offset": offset, "follow": "true"}
        async with self._stream(f"{BASE}/deploy/job/logs", params) as response:
            yield response

    @asynccontextmanager
    async def app_log_stream(self, user_id: int, app_id: int, *, tail: int, follow: bool) -> AsyncIterator[httpx.Response]:
        """The container's output as plain text: its last ``tail`` lines, then, with ``follow``, what comes."""
        params = {**owned(user_id, app_id), "tail": tail, "follow": str(follow).lower()}
        # An app may be silent for as long as it likes.
        async with self._stream(f"{BASE}/deploy/app/logs", params, read=None if follow else 60) as response:
            yield response

    @asynccontextmanager
    async def _stream(self, path: str, params: Mapping[str, Any], *, read: float | None = 60) -> AsyncIterator[httpx.Response]:
        """Raises like Transport.request. ``read`` seconds is the longest silence; job logs carry a sign of life every 10 s."""
        timeout = httpx.Timeout(60, connect=3, read=read)
        try:
            async with self.transport.raw.stream("GET", path, params=dict(params), timeout=timeout) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise error_of(self.transport.service, response)
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as e:
            raise Unreachable(self.transport.service, str(e) or type(e).__name__, sent=False) from e
        except httpx.HTTPError as e:
            raise Unreachable(self.transport.service, str(e) or type(e).__name__, sent=True) from e

    async def healthy(self) -> bool:
        body: Any = await self.transport.data("GET", "/internal/health")
        return bool(body.get("ok"))

    async def close(self) -> None:
        await self.transport.close()
