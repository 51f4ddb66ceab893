"""HTTP to registries: logins, the tokens that challenges ask for, redirects, limits; failures mapped once.

A registry's answers are a stranger's: a login goes to the registry it is for, and to a token service behind TLS or on the
same host and port; nothing goes from HTTPS down to HTTP, nor to private addresses that the operator did not name.
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import asyncio
import base64
import errno
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from funai.base import proxies
from funai.base.clients.registry.contract import RegistryFailed, Why
from funai.base.clients.registry.fence import FencedTransport, PrivateAddress

MAX_ANSWER = 4 * 1024 * 1024
MAX_TOKEN = 64 * 1024
MAX_REDIRECTS = 3
CALL_SECONDS = 20.0
"""All of one call, its token included. A Dockerfile names registries of anybody's, which may answer a byte every second."""
NO_SPACE = errno.ENOSPC
HUB = "registry-1.docker.io"
_HUB_NAMES = ("", "docker.io", "index.docker.io", HUB)
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_HANDED_ON = httpx.Timeout(300, connect=5)
"""A registry takes its time for a layer's end."""
_QUOTA = re.compile(r"adding [\d.]+ ?\w+ of storage resource, which when updated to current usage of .{1,40} will exceed")
_TOKEN = re.compile(r"[!-~]+")
_PARAM = re.compile(r'(?<!\w)(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Login:
    username: str
    password: str

    @property
    def basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def is_insecure(registry: str, listed: Iterable[str]) -> bool:
    """True for a registry that is spoken to over plain HTTP."""
    return registry in listed or bool(_LOOPBACK.fullmatch(registry))


class RegistryHttp:
    """Calls to registries by their ``host[:port]``. ``logins`` are by the same; ``plain`` tells which speak HTTP only.

    ``trusted`` registries are spoken to at whatever address; ``http`` lets tests plug in a transport.
    """

    def __init__(
        self,
        logins: Mapping[str, Login] | None = None,
        *,
        plain: Callable[[str], bool],
        trusted: Iterable[str] = (),
        timeout: float = 5,
        http: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._logins, self._plain = dict(logins or {}), plain
        self._fence = FencedTransport({*trusted, *self._logins}, proxies.read())
        self._http = httpx.AsyncClient(
            transport=http or self._fence, trust_env=False, timeout=httpx.Timeout(timeout, connect=min(3.0, timeout))
        )
        self._tokens: dict[tuple[str, str], str] = {}

    def trust(self, registry: str) -> None:
        """Speak to this registry at whatever address: the operator's own settings name it."""
        self._fence.trust(registry)

    async def leads_inside(self, registry: str) -> bool:
        """Whether the registry's name means a private address that the operator did not open; False where it means none."""
        host, _, port = (HUB if registry in _HUB_NAMES else registry).lower().partition(":")
        return await self._fence.leads_inside(host, int(port or 443))

    def at(self, registry: str) -> RegistryAt:
        return RegistryAt(self, registry)

    async def close(self) -> None:
        await self._http.aclose()

    async def call(
        self,
        registry: str,
        method: str,
        path: str,
        *,
        ok: Iterable[int],
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        repository: str = "",
    ) -> httpx.Response:
        """The whole answer when its status is one of ``ok``; else RegistryFailed, with why and what the registry said.

        ``repository`` keeps the token of a challenge for the next call about it.
        """
        host = HUB if registry in _HUB_NAMES else registry
        url = httpx.URL(f"{'http' if self._plain(registry) else 'https'}://{host}{path}")
        url = url.copy_merge_params(params) if params else url
        sent = dict(headers or {})
        try:
            async with asyncio.timeout(CALL_SECONDS):
                response = await self._authorized(registry, method, url, sent, content, repository)
        except PrivateAddress as e:
            raise RegistryFailed(f"{host}: {e}", Why.PRIVATE) from e
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as e:
            raise RegistryFailed(f"{method} {path}: {str(e) or type(e).__name__}", Why.AWAY) from e
        if response.status_code not in ok:
            raise _failure(response, f"{method} {path}")
        return response

    async def hand_on(
        self,
        registry: str,
        method: str,
        path: str,
        *,
        headers: Sequence[tuple[str, str]],
        content: AsyncIterator[bytes] | None,
        repository: str,
        login: bool,
    ) -> httpx.Response:
        """Sends another caller's request, with our ``login``; the answer's body is not read yet and has to be closed.

        A challenge is answered where the request has no body, and redirects of reads are followed. Raises httpx.HTTPError.
        """
        host = HUB if registry in _HUB_NAMES else registry
        url = httpx.URL(f"{'http' if self._plain(registry) else 'https'}://{host}{path}")
        ours, key = self._logins.get(registry) if login else None, (registry, repository if login else f"-{repository}")
        auth, asked = f"Bearer {self._tokens[key]}" if key in self._tokens else ours.basic if ours else "", False
        for _ in range(MAX_REDIRECTS + 2):
            sent = [*headers, *([("Authorization", auth)] if auth else [])]
            request = self._http.build_request(method, url, headers=sent, content=content, timeout=_HANDED_ON)
            answer = await self._http.send(request, stream=True)
            if answer.has_redirect_location and method in ("GET", "HEAD"):
                there = url.join(answer.headers["Location"])
                await answer.aclose()
                if url.scheme == "https" != there.scheme or there.scheme not in ("http", "https"):
                    raise httpx.UnsupportedProtocol(f"a redirect from HTTPS to {there.scheme}", request=request)
                auth = auth if (there.scheme, there.netloc) == (url.scheme, url.netloc) else ""
                url = there
            elif answer.status_code == 401 and content is None and not asked:
                asked = True
                await answer.aclose()
                if not (token := await self._token(answer, registry, url, ours)):
                    return answer
                self._tokens[key], auth = token, f"Bearer {token}"
            else:
                return answer
        raise httpx.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects", request=httpx.Request(method, url))

    async def _authorized(
        self, registry: str, method: str, url: httpx.URL, sent: dict[str, str], content: bytes | None, repository: str
    ) -> httpx.Response:
        login, key = self._logins.get(registry), (registry, repository)
        auth = f"Bearer {self._tokens[key]}" if key in self._tokens else login.basic if login else ""
        response = await self._send(method, url, {**sent, **({"Authorization": auth} if auth else {})}, content, MAX_ANSWER)
        if response.status_code != 401:
            return response
        token = await self._token(response, registry, url, login)
        if not token:
            return response
        if repository:
            self._tokens[key] = token
        return await self._send(method, url, {**sent, "Authorization": f"Bearer {token}"}, content, MAX_ANSWER)

    async def _token(self, response: httpx.Response, registry: str, url: httpx.URL, login: Login | None) -> str:
        """What the challenge's token service grants; "" when there is none that may be asked."""
        scheme, _, rest = response.headers.get("www-authenticate", "").partition(" ")
        asked = dict(_PARAM.findall(rest))
        realm = httpx.URL(asked.get("realm", ""))
        here = realm.host == url.host and (realm.port == url.port or registry in self._logins)
        if scheme.lower() != "bearer" or not (realm.scheme == "https" or (realm.scheme == "http" == url.scheme and here)):
            return ""
        query = {k: asked[k] for k in ("service", "scope") if k in asked}
        headers = {"Authorization": login.basic} if login else {}
        granted = await self._send("GET", realm.copy_merge_params(query), headers, None, MAX_TOKEN)
        try:
            body: Any = granted.json() if granted.status_code == 200 else None
        except (ValueError, RecursionError):
            return ""
        token = str(body.get("token") or body.get("access_token") or "") if isinstance(body, dict) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        return token if _TOKEN.fullmatch(token) else ""

    async def _send(
        self, method: str, url: httpx.URL, headers: dict[str, str], content: bytes | None, limit: int
    ) -> httpx.Response:
        """The whole answer, uncompressed; raises httpx.HTTPError when it is longer than ``limit`` bytes.

        Redirects are followed here: httpx would read all of each one's body.
        """
        headers = {**headers, "Accept-Encoding": "identity"}
        for _ in range(MAX_REDIRECTS + 1):
            async with self._http.stream(method, url, content=content, headers=headers) as response:
                if response.has_redirect_location and method in ("GET", "HEAD"):
                    there = url.join(response.headers["Location"])
                    if url.scheme == "https" != there.scheme or there.scheme not in ("http", "https"):
                        raise httpx.UnsupportedProtocol(f"a redirect from HTTPS to {there.scheme}", request=response.request)
                    if (there.scheme, there.netloc) != (url.scheme, url.netloc):
                        headers.pop("Authorization", None)
                    url = there
                    continue
                body = bytearray()
                # Raw, because a packed answer is larger than what comes in; one that is here already has no stream.
                async for piece in response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw():
                    body += piece
                    if len(body) > limit:
                        raise httpx.DecodingError(f"more than {limit} bytes", request=response.request)
            return httpx.Response(
                response.status_code, headers=_plain(response.headers), content=bytes(body), request=response.request
            )
        raise httpx.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects", request=httpx.Request(method, url))


@dataclass(frozen=True, slots=True)
class RegistryAt:
    """One registry's."""

    http: RegistryHttp
    registry: str

    async def call(
        self,
        method: str,
        path: str,
        *,
        ok: Iterable[int],
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        return await self.http.call(self.registry, method, path, ok=ok, params=params, headers=headers, content=content)

    async def close(self) -> None:
        await self.http.close()


def body(response: httpx.Response) -> Any:
    """The JSON of an answer; RegistryFailed when it isn't."""
    try:
        return response.json()
    except (ValueError, RecursionError) as e:
        raise RegistryFailed(f"{response.request.url.path}: the answer is not JSON", Why.NO_REGISTRY) from e


def is_page(response: httpx.Response) -> bool:
    """Whether the answer is a page for a browser: of a proxy, a hotel's wifi, a company's filter."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml")


def _failure(response: httpx.Response, what: str) -> RegistryFailed:
    status, errors = response.status_code, _errors(response)
    said = "; ".join(f"{e.get('code')}: {e.get('message')}" for e in errors)[:500]
    detail = f"{what}: HTTP {status} {said}".rstrip()
    if status == 429:
        return RegistryFailed(detail, Why.LIMITED)
    if is_page(response):
        return RegistryFailed(f"{what}: HTTP {status}, a web page", Why.NO_REGISTRY)
    if over_quota(said):
        return RegistryFailed(detail, Why.QUOTA)
    if status in (401, 403):
        return RegistryFailed(detail, Why.AUTH)
    if status == 412 and any(e.get("code") == "PRECONDITION" for e in errors):
        return RegistryFailed(detail, Why.IMMUTABLE)
    if status == 507 or any(_full(e) for e in errors):
        return RegistryFailed(detail, Why.FULL)
    return RegistryFailed(detail, Why.AWAY if status >= 500 else Why.REFUSED)


def over_quota(said: str) -> bool:
    """Whether Harbor says that a project's quota is used up: its code, DENIED, is also that of a login without the right."""
    return bool(_QUOTA.search(said))


def _errors(response: httpx.Response) -> list[dict[str, Any]]:
    """The registry's own errors; all kinds answer ``{"errors": [{"code", "message", "detail"}]}``."""
    try:
        errors: Any = response.json()["errors"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []  # pyright: ignore[reportUnknownVariableType]


def _full(error: dict[str, Any]) -> bool:
    """Whether the kernel's ENOSPC stands in it: distribution answers its file system's errors as they are, in two forms."""
    todo: list[Any] = [error.get("detail")]
    while todo:
        now = todo.pop()
        if isinstance(now, str) and now.lower().endswith(os.strerror(NO_SPACE).lower()):
            return True
        if isinstance(now, dict):
            if now.get("Err") == NO_SPACE:  # pyright: ignore[reportUnknownMemberType]
                return True
            todo += list(now.values())  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
    return False


def _plain(headers: httpx.Headers) -> list[tuple[str, str]]:
    """Those of a body that is read already."""
    return [
        (k, v) for k, v in headers.multi_items() if k.lower() not in ("content-encoding", "transfer-encoding", "content-length")
    ]
