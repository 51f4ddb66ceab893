"""The platform's registry as a build's own processes see it: plain HTTP on an address inside their network, no login.

The login is added here, outside of the wall, and only for the app's own repository. What passes is what a push or pull
of that repository needs; a registry's redirect or realm is answered from here and never followed inside.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse

from funai.base.clients.registry.http import RegistryHttp
from funai.base.observability import log
from funai.contracts.rules import ImageRef

_PATH = re.compile(r"(?P<repository>[a-z0-9][a-z0-9._/-]*)/(?P<what>(manifests|blobs|tags)/.*)")
_SENT = ("content-type", "content-length", "content-range", "range", "accept")
_ANSWERED = (
    "content-type",
    "content-length",
    "content-range",
    "range",
    "docker-content-digest",
    "docker-upload-uuid",
    "docker-distribution-api-version",
    "oci-chunk-min-length",
    "etag",
)
_READS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Grant:
    """``own`` may be read and, with ``write``, written, with the login, and ``base`` read. With ``others``, every repository
    of the registry may be read without a login."""

    own: ImageRef
    write: bool
    others: bool = False
    base: str = ""
    """The repository whose blobs an image of the app's may share."""


class RegistryProxy:
    """Serves one network. Closed unless ``grant`` is set."""

    def __init__(self, upstream: RegistryHttp) -> None:
        self._upstream = upstream
        self.grant: Grant | None = None

    def app(self) -> FastAPI:
        app = FastAPI(title="registry-proxy", openapi_url=None)
        app.add_api_route("/v2/", self._ping, methods=["GET"])
        app.add_api_route("/v2/{path:path}", self._pass, methods=["GET", "HEAD", "POST", "PATCH", "PUT"], response_model=None)
        return app

    async def _ping(self) -> Response:
        return Response("{}", 200 if self.grant else 403, {"Docker-Distribution-Api-Version": "registry/2.0"})

    async def _pass(self, path: str, request: Request) -> Response:
        found, grant = _PATH.fullmatch(path), self.grant
        if not grant or not found or ".." in path:
            return Response(status_code=403)
        own, reads = found["repository"] == grant.own.path, request.method in _READS
        base = bool(grant.base) and found["repository"] == grant.base
        if not (own and (grant.write or reads)) and not ((base or grant.others) and reads):
            return Response(status_code=403)
        query = request.url.query
        if request.query_params.get("from", grant.base) != grant.base:
            # A blob of another repository: the client uploads it instead.
            query = ""
        image = ImageRef(grant.own.registry, found["repository"], None, None)
        # A client says what it accepts in several headers.
        headers = [(k, v) for k, v in request.headers.items() if k in _SENT]
        headers.append(("Accept-Encoding", "identity"))
        body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
        try:
            answer = await self._upstream.hand_on(
                image.registry,
                request.method,
                f"/v2/{path}{'?' if query else ''}{query}",
                headers=headers,
                content=request.stream() if body else None,
                repository=image.path,
                login=own or base,
            )
        except (httpx.HTTPError, httpx.InvalidURL, ClientDisconnect) as e:  # the last: a push that was ended
            log.get("runner").warning("registry_proxy.failed", registry=image.registry, error=str(e) or type(e).__name__)
            return Response(status_code=502)
        return self._told(answer)

    @staticmethod
    def _told(answer: httpx.Response) -> Response:
        headers = {k: v for k, v in answer.headers.items() if k.lower() in _ANSWERED}
        if there := answer.headers.get("Location"):
            # Where an upload goes on: by its path, at this proxy.
            target = answer.url.join(there)
            if target.netloc == answer.url.netloc:
                headers["Location"] = target.raw_path.decode()

        async def body() -> AsyncIterator[bytes]:
            try:
                if not answer.is_closed:
                    async for piece in answer.aiter_raw(256 * 1024):
                        yield piece
            finally:
                await answer.aclose()

        return StreamingResponse(body(), answer.status_code, headers)
