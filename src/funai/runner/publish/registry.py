"""The registry's HTTP API (distribution v2) as the Runner needs it: what a tag points at, and one more tag for it.

Plain HTTP calls of a few milliseconds, where the engine's command line would take forty. The login is sent to the
operator's own registry alone, whatever a payload names.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import httpx

from funai.base import proxies
from funai.base.clients.proxied import ProxiedTransport
from funai.contracts.rules import ImageRef
from funai.contracts.states import FailureCode
from funai.runner.failures import JobFailed

MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
)
MAX_MANIFEST = 4 * 1024 * 1024
MAX_TOKEN = 64 * 1024
MAX_REDIRECTS = 3
CALL_SECONDS = 20.0
"""All of one call, its token included. A Dockerfile names registries of anybody's, which may answer a byte every second."""
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")
_TOKEN = re.compile(r"[!-~]+")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class Manifest:
    digest: str
    media_type: str
    body: bytes

    @property
    def image_id(self) -> str | None:
        """What engines call the image: its configuration's digest. None for a list of several platforms' images."""
        try:
            found: Any = json.loads(self.body)["config"]["digest"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return found if isinstance(found, str) and _DIGEST.fullmatch(found) else None


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    registry: str
    username: str
    password: str


def is_insecure(registry: str, listed: frozenset[str]) -> bool:
    """True for a registry that is spoken to over plain HTTP."""
    return registry in listed or bool(_LOOPBACK.fullmatch(registry))


class Registry:
    """Calls raise JobFailed REGISTRY_UNREACHABLE or REGISTRY_AUTH; a tag that isn't there is None."""

    def __init__(self, login: RegistryLogin | None, insecure: frozenset[str], *, timeout: float = 5) -> None:
        self._login, self._insecure = login, insecure
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(timeout, connect=3), transport=ProxiedTransport(proxies.read()), trust_env=False
        )
        self._tokens: dict[tuple[str, str], str] = {}

    async def close(self) -> None:
        await self._http.aclose()

    def base_url(self, registry: str) -> str:
        """Where the registry is spoken to."""
        scheme = "http" if is_insecure(registry, self._insecure) else "https"
        return f"{scheme}://{'registry-1.docker.io' if registry in ('', 'docker.io') else registry}"

    @property
    def http(self) -> httpx.AsyncClient:
        """The client that its calls go by."""
        return self._http

    def authorization(self, image: ImageRef) -> str | None:
        """The header that calls about this image are made with, as far as it is known without asking."""
        return self._authorization(image)

    async def challenged(self, response: httpx.Response, image: ImageRef, method: str) -> str | None:
        """The header after a registry's 401."""
        return await self._answer_challenge(response, image, method)

    async def digest(self, image: ImageRef) -> str | None:
        """The digest that the tag (default ``latest``) points at now."""
        response = await self._call("HEAD", image, f"manifests/{image.digest or image.tag or 'latest'}")
        return response.headers.get("Docker-Content-Digest") if response is not None else None

    async def manifest(self, image: ImageRef) -> Manifest | None:
        response = await self._call("GET", image, f"manifests/{image.digest or image.tag or 'latest'}")
        if response is None:
            return None
        digest = response.headers.get("Docker-Content-Digest") or f"sha256:{hashlib.sha256(response.content).hexdigest()}"
        return Manifest(digest, response.headers.get("Content-Type", MANIFESTS[0]), response.content)

    async def tag(self, image: ImageRef, manifest: Manifest, tag: str) -> None:
        """Point one more tag at a manifest that is there: one request, all or nothing."""
        headers = {"Content-Type": manifest.media_type}
        response = await self._call("PUT", image, f"manifests/{tag}", content=manifest.body, headers=headers)
        if response is None:
            raise JobFailed(FailureCode.REGISTRY_UNREACHABLE, registry=image.registry)

    async def delete(self, image: ImageRef, digest: str) -> None:
        """Remove a manifest with its tags; one that isn't there is fine."""
        await self._call("DELETE", image, f"manifests/{digest}")

    async def _call(
        self, method: str, image: ImageRef, what: str, *, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response | None:
        scheme = "http" if is_insecure(image.registry, self._insecure) else "https"
        host = "registry-1.docker.io" if image.registry in ("", "docker.io") else image.registry
        url = f"{scheme}://{host}/v2/{image.path}/{what}"
        sent = {"Accept": ", ".join(MANIFESTS), **(headers or {})}
        try:
            async with asyncio.timeout(CALL_SECONDS):
                if auth := self._authorization(image):
                    sent["Authorization"] = auth
                response = await self._send(method, url, sent, content, MAX_MANIFEST)
                if response.status_code == 401 and (auth := await self._answer_challenge(response, image, method)):
                    sent["Authorization"] = auth
                    response = await self._send(method, url, sent, content, MAX_MANIFEST)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as e:
            raise JobFailed(FailureCode.REGISTRY_UNREACHABLE, [str(e) or type(e).__name__], registry=host) from e
        return self._judged(response, host)

    async def _send(self, method: str, url: str, headers: dict[str, str], content: bytes | None, limit: int) -> httpx.Response:
        """The whole answer, uncompressed; raises httpx.HTTPError when it is longer than ``limit`` bytes.

        Redirects are followed here: httpx would read all of each one's body.
        """
        headers = {**headers, "Accept-Encoding": "identity"}
        for _ in range(MAX_REDIRECTS + 1):
            async with self._http.stream(method, url, content=content, headers=headers) as response:
                if response.has_redirect_location and method in ("GET", "HEAD"):
                    there = response.url.join(response.headers["Location"])
                    if (there.scheme, there.netloc) != (response.url.scheme, response.url.netloc):
                        headers.pop("Authorization", None)
                    url = str(there)
                    continue
                body = bytearray()
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > limit:
                        raise httpx.DecodingError(f"more than {limit} bytes", request=response.request)
            return httpx.Response(response.status_code, headers=_plain(response.headers), content=bytes(body))
        raise httpx.TooManyRedirects(f"more than {MAX_REDIRECTS} redirects", request=httpx.Request(method, url))

    @staticmethod
    def _judged(response: httpx.Response, host: str) -> httpx.Response | None:
        if response.status_code in (401, 403):
            raise JobFailed(FailureCode.REGISTRY_AUTH, registry=host)
        if response.status_code in (404, 405):
            return None
        if response.status_code >= 400:
            raise JobFailed(FailureCode.REGISTRY_UNREACHABLE, [f"HTTP {response.status_code}"], registry=host)
        return response

    def _mine(self, image: ImageRef) -> RegistryLogin | None:
        return self._login if self._login and self._login.registry == image.registry else None

    def _basic(self, image: ImageRef) -> str | None:
        login = self._mine(image)
        return "Basic " + base64.b64encode(f"{login.username}:{login.password}".encode()).decode() if login else None

    def _authorization(self, image: ImageRef) -> str | None:
        token = self._tokens.get((image.registry, image.path))
        return f"Bearer {token}" if token else self._basic(image)

    async def _answer_challenge(self, response: httpx.Response, image: ImageRef, method: str) -> str | None:
        """A bearer token from the realm that the registry names (Harbor, Docker Hub), or None for plain basic."""
        challenge = response.headers.get("WWW-Authenticate", "")
        if not challenge.lower().startswith("bearer "):
            return None
        parts = dict(_CHALLENGE.findall(challenge))
        realm = parts.get("realm", "")
        if not realm.startswith(("https://", "http://")):
            return None
        write = method in ("PUT", "POST", "DELETE", "PATCH")
        scope = f"repository:{image.path}:pull" + (",push" if write else "")
        basic = self._basic(image)
        headers = {"Authorization": basic} if basic else {}
        url = httpx.URL(realm).copy_merge_params({"service": parts.get("service", ""), "scope": scope})
        answer = await self._send("GET", str(url), headers, None, MAX_TOKEN)
        try:
            body: Any = answer.json() if answer.status_code == 200 else None
        except ValueError:
            body = None
        token = str(body.get("token") or body.get("access_token") or "") if isinstance(body, dict) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
        if not _TOKEN.fullmatch(token):
            return None
        self._tokens[image.registry, image.path] = token
        return f"Bearer {token}"


def _plain(headers: httpx.Headers) -> list[tuple[str, str]]:
    """Those of a body that is read already."""
    return [
        (k, v) for k, v in headers.multi_items() if k.lower() not in ("content-encoding", "transfer-encoding", "content-length")
    ]


def auth_config(login: RegistryLogin | None) -> str:
    """The engine's ``config.json``: the login of one registry."""
    if login is None:
        return "{}"
    auth = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
    return json.dumps({"auths": {login.registry: {"auth": auth}}})
