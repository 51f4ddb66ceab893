"""One HTTP transport for our own services: headers, trace id, bounded times, errors of our tree."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from funai.base.clients.proxied import ProxiedTransport
from funai.base.observability import log
from funai.base.proxies import Proxies
from funai.contracts.errors import CalleeFailed, ConfigError, FunaiError, error_for
from funai.contracts.reasons import Reason

T = TypeVar("T", bound=BaseModel)
UNREASONED = "REMOTE"
"""Stands for the reason of an answer that gives none."""


class Unreachable(CalleeFailed):
    """No answer at all: connection refused or reset, or a time-out. ``sent`` tells whether the callee may have acted."""

    def __init__(self, service: str, detail: str, *, sent: bool) -> None:
        super().__init__(Reason.CALLEE_FAILED, service=service, detail=detail)
        self.sent = sent


class NotOurs(CalleeFailed):
    """Something answered that is no service of ours: another program, or a proxy in front of one."""

    def __init__(self, service: str, detail: str, response: httpx.Response) -> None:
        super().__init__(Reason.CALLEE_FAILED, service=service, detail=detail)
        self.status = response.status_code
        self.location = str(response.url.join(response.headers["Location"])) if response.has_redirect_location else None


class Transport:
    """An httpx client bound to one callee. Close it, or use it as a context manager.

    ``timeout`` seconds bound one whole request by its parts (connect at most 3 s); ``http`` lets tests plug in an ASGI
    transport; ``connections`` limits how many are open at once (None: no limit, where the caller has one of its own).
    Calls go straight to the callee; ``proxies`` are for the command line, whose callee may be far away.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = 10,
        http: httpx.AsyncBaseTransport | None = None,
        proxies: Proxies | None = None,
        connections: int | None = 100,
    ) -> None:
        self.service = service
        trust = _trust(base_url)
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=20, keepalive_expiry=30)
        if http is None and proxies is not None and proxies.chosen(base_url):
            http = ProxiedTransport(proxies, verify=trust, limits=limits)
        self._client = httpx.AsyncClient(
            base_url=_address(service, base_url),
            headers=dict(headers or {}),
            transport=http,
            trust_env=False,
            verify=trust,
            timeout=httpx.Timeout(timeout, connect=min(3.0, timeout)),
            limits=limits,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> httpx.Response:
        """One request; raises Unreachable without an answer, and the error tree's class for an error status."""
        sent = {**(headers or {}), **self._trace()}
        query = {k: v for k, v in (params or {}).items() if v is not None}
        extra: dict[str, Any] = {} if timeout is None else {"timeout": httpx.Timeout(timeout, connect=3.0)}
        try:
            response = await self._client.request(method, path, params=query, json=json, headers=sent, **extra)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as e:
            raise Unreachable(self.service, str(e) or type(e).__name__, sent=False) from e
        except httpx.HTTPError as e:
            raise Unreachable(self.service, str(e) or type(e).__name__, sent=True) from e
        if response.status_code >= 300:
            raise error_of(self.service, response)
        return response

    async def data(self, method: str, path: str, **kw: Any) -> Any:
        """The ``data`` of an enveloped answer."""
        return self.opened(await self.request(method, path, **kw))

    def opened(self, response: httpx.Response) -> Any:
        """The ``data`` of an enveloped answer. Raises NotOurs."""
        body = _json(self.service, response)
        if not isinstance(body, dict) or "code" not in body:
            raise NotOurs(self.service, "not an envelope", response)
        if isinstance(code := body["code"], int) and code >= 300:  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
            # Services of older installations answer errors with HTTP 200.
            status = code if 400 <= code < 600 else 502
            raise error_for(status, str(body.get("reason") or UNREASONED), str(body.get("message", "")))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return body.get("data")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]

    async def plain(self, method: str, path: str, **kw: Any) -> Any:
        """The JSON of a plain answer (the agent's)."""
        return _json(self.service, await self.request(method, path, **kw))

    @property
    def raw(self) -> httpx.AsyncClient:
        """For streams."""
        return self._client

    def _trace(self) -> dict[str, str]:
        trace = log.trace_id()
        return {"X-Trace-Id": trace} if trace else {}

    async def close(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def read(self, model: type[T], data: Any) -> T:
        """An answer as a value; one of another shape is the callee's failure, which callers outlive. Raises CalleeFailed."""
        try:
            return model.model_validate(data)
        except ValidationError as e:
            where = ".".join(map(str, e.errors()[0]["loc"])) or type(data).__name__
            raise CalleeFailed(service=self.service, detail=f"{model.__name__}: {where}") from e

    def every(self, model: type[T], rows: Any) -> list[T]:
        """The same of a list. Raises CalleeFailed."""
        if not isinstance(rows, list):
            raise CalleeFailed(service=self.service, detail=f"{model.__name__}: not a list")
        return [self.read(model, row) for row in rows]  # pyright: ignore[reportUnknownVariableType]

    def record(self, data: Any) -> dict[str, Any]:
        """An answer that is an object. Raises CalleeFailed."""
        if not isinstance(data, dict):
            raise CalleeFailed(service=self.service, detail="not an object")
        return data  # pyright: ignore[reportUnknownVariableType]


def _trust(base_url: str) -> ssl.SSLContext:
    """Trusted certificates. Plain HTTP gets a context that trusts none: filling one takes 30 ms, a good part of a short call.

    HTTPS trusts the usual public authorities, the machine's, and an operator's own named by ``SSL_CERT_FILE``.
    """
    if not base_url.startswith("https:"):
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context


def _address(service: str, base_url: str) -> httpx.URL:
    """Raises ConfigError for what no connection could be made to."""
    try:
        url = httpx.URL(base_url.rstrip("/"))
    except httpx.InvalidURL as e:
        raise ConfigError([f"{service} at {base_url!r}: {e}; give an address like http://127.0.0.1:8080"]) from e
    if url.port is not None and not 0 < url.port < 65536:
        raise ConfigError([f"{service} at {base_url!r}: a port is 1–65535"])
    return url


class AgentRefused(FunaiError):
    """A plain service's ``{"detail": …}``; ``detail`` keeps the object when it is one."""

    def __init__(self, code: int, reason: str, text: str, detail: Any) -> None:
        self.code = code
        self.detail = detail
        super().__init__(text=text)
        self.reason = reason

    @property
    def lacks_the_call(self) -> bool:
        """The service has no such route: a refusal of ours has a reason."""
        return self.code in (404, 405) and self.reason == UNREASONED


def _json(service: str, response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as e:
        raise NotOurs(service, "answer is not JSON", response) from e


def error_of(service: str, response: httpx.Response) -> FunaiError:
    """Our error for an error answer, whichever of the two forms it has."""
    try:
        body: Any = response.json()
    except ValueError:
        body = None
    if isinstance(body, dict) and "code" in body and "message" in body:
        return error_for(response.status_code, str(body.get("reason") or UNREASONED), str(body["message"]))  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    if isinstance(body, dict) and "detail" in body:
        detail: Any = body["detail"]  # pyright: ignore[reportUnknownVariableType]
        text = str(detail.get("message", detail)) if isinstance(detail, dict) else str(detail)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        return AgentRefused(response.status_code, str(body.get("reason") or UNREASONED), text, detail)  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    return NotOurs(service, f"HTTP {response.status_code}", response)
