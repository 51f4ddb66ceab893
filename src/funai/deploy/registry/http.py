"""HTTP to a registry: basic login, or the token that a 401's challenge asks for; failures mapped once."""

from __future__ import annotations

import base64
import re
from collections.abc import Generator, Iterable, Mapping
from typing import Any

import httpx

from funai.deploy.registry.contract import RegistryFailed

_PARAM = re.compile(r'(\w+)="([^"]*)"')


class Login(httpx.Auth):
    """Basic login; on a Bearer challenge the token is asked of its realm, as distribution's token specification says.

    The password is sent to the registry itself, and to a realm on the same host or behind TLS, never elsewhere.
    https://distribution.github.io/distribution/spec/auth/token/
    """

    requires_response_body = True

    def __init__(self, username: str, password: str) -> None:
        secret = base64.b64encode(f"{username}:{password}".encode()).decode()
        self._basic = f"Basic {secret}" if username else None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._basic:
            request.headers["Authorization"] = self._basic
        response = yield request
        scheme, _, rest = response.headers.get("www-authenticate", "").partition(" ")
        if response.status_code != 401 or scheme.lower() != "bearer":
            return
        asked = dict(_PARAM.findall(rest))
        realm = httpx.URL(asked.get("realm", ""))
        if realm.scheme != "https" and realm.host != request.url.host:
            return
        query = {k: asked[k] for k in ("service", "scope") if k in asked}
        headers = {"Authorization": self._basic} if self._basic else {}
        granted = yield httpx.Request("GET", realm.copy_merge_params(query), headers=headers)
        if granted.status_code != 200:
            return
        body = granted.json()
        request.headers["Authorization"] = f"Bearer {body.get('token') or body.get('access_token')}"
        yield request


class RegistryHttp:
    """``base_url`` without a path. ``http`` lets tests plug in a transport."""

    def __init__(
        self, base_url: str, username: str, password: str, *, timeout: float, http: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            auth=Login(username, password),
            transport=http,
            trust_env=False,
            timeout=httpx.Timeout(timeout, connect=min(5.0, timeout)),
        )

    async def call(
        self,
        method: str,
        path: str,
        *,
        ok: Iterable[int],
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer when its status is one of ``ok``; else RegistryFailed with what the registry said."""
        try:
            response = await self._client.request(method, path, params=params, headers=headers)
        except (httpx.HTTPError, ValueError) as e:
            raise RegistryFailed(f"{method} {path}: {str(e) or type(e).__name__}") from e
        if response.status_code not in ok:
            raise RegistryFailed(f"{method} {path}: HTTP {response.status_code} {_said(response)}".rstrip())
        return response

    async def close(self) -> None:
        await self._client.aclose()


def body(response: httpx.Response) -> Any:
    """The JSON of an answer; RegistryFailed when it isn't."""
    try:
        return response.json()
    except ValueError as e:
        raise RegistryFailed(f"{response.request.url.path}: the answer is not JSON") from e


def _said(response: httpx.Response) -> str:
    """The registry's own error code and message; both kinds answer ``{"errors": [{"code", "message"}]}``."""
    try:
        errors: Any = response.json()["errors"]
        return "; ".join(f"{e.get('code')}: {e.get('message')}" for e in errors)[:500]
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
