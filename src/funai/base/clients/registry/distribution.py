"""The registry API that every registry speaks. https://distribution.github.io/distribution/spec/api/"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

import httpx

from funai.base.clients.registry.contract import Artifact, RegistryFailed, Why
from funai.base.clients.registry.http import RegistryAt, RegistryHttp, body, is_page
from funai.contracts.rules import ImageRef, full_repository

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ACCEPT = {"Accept": ", ".join(MANIFESTS)}
_PAGE = 500
_MAX_PAGES = 200
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
PROBE = bytes(64 * 1024)
"""What a registry whose disk is full can't take."""
_LAST = re.compile(r'[?&]last=([^&>]+)(?:&[^>]*)?>\s*;\s*rel="?next"?')


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


class Manifests:
    """What a tag points at, and one more tag for it, in any registry. All raise RegistryFailed."""

    def __init__(self, http: RegistryHttp) -> None:
        self.http = http

    async def digest(self, image: ImageRef) -> str | None:
        """The digest that the tag (default ``latest``) points at now; None when it isn't there."""
        response = await self._call("HEAD", image, image.digest or image.tag or "latest")
        return response.headers.get("Docker-Content-Digest") if response is not None else None

    async def manifest(self, image: ImageRef) -> Manifest | None:
        response = await self._call("GET", image, image.digest or image.tag or "latest")
        if response is None:
            return None
        digest = response.headers.get("Docker-Content-Digest") or f"sha256:{hashlib.sha256(response.content).hexdigest()}"
        return Manifest(digest, response.headers.get("Content-Type", MANIFESTS[0]), response.content)

    async def tag(self, image: ImageRef, manifest: Manifest, tag: str) -> None:
        """Point one more tag at a manifest that is there: one request, all or nothing."""
        if await self._call("PUT", image, tag, manifest) is None:
            raise RegistryFailed(f"{image.registry}: PUT {tag}: not found", Why.AWAY)

    async def delete(self, image: ImageRef, digest: str) -> None:
        """Remove a manifest with its tags; one that isn't there is fine."""
        await self._call("DELETE", image, digest)

    async def takes(self, image: ImageRef) -> None:
        """Whether the registry can store anything: a little is sent and taken back. RegistryFailed says why not."""
        path = f"/v2/{image.path}/blobs/uploads/"
        begun = await self.http.call(image.registry, "POST", path, ok=(202,), repository=image.path)
        there = httpx.URL(begun.request.url).join(begun.headers.get("Location", "")).raw_path.decode()
        try:
            headers = {"Content-Type": "application/octet-stream"}
            await self.http.call(
                image.registry, "PATCH", there, ok=(202,), headers=headers, content=PROBE, repository=image.path
            )
        finally:
            await self.http.call(image.registry, "DELETE", there, ok=range(200, 600), repository=image.path)

    async def _call(
        self, method: str, image: ImageRef, reference: str, manifest: Manifest | None = None
    ) -> httpx.Response | None:
        path = full_repository(image).partition("/")[2]
        headers = {**_ACCEPT, **({"Content-Type": manifest.media_type} if manifest else {})}
        response = await self.http.call(
            image.registry,
            method,
            f"/v2/{path}/manifests/{reference}",
            ok=(200, 201, 202, 404, 405),
            headers=headers,
            content=manifest.body if manifest else None,
            repository=path,
        )
        if is_page(response) and response.status_code == 200:
            raise RegistryFailed(f"{image.registry}: a web page", Why.NO_REGISTRY)
        return response if response.status_code < 400 else None


class Distribution:
    """``ImageRegistry`` over distribution's API. It lists tags only, so untagged manifests are known by digest alone."""

    def __init__(self, http: RegistryAt) -> None:
        self._http = http

    async def artifacts(self, repository: str) -> list[Artifact]:
        tags: dict[str, set[str]] = {}
        for tag in await self._tags(repository):
            head = await self._http.call("HEAD", f"/v2/{repository}/manifests/{tag}", ok=(200, 404), headers=_ACCEPT)
            digest = head.headers.get("docker-content-digest")
            if head.status_code == 200 and digest:
                tags.setdefault(digest, set()).add(tag)
        return [Artifact(digest, frozenset(names)) for digest, names in tags.items()]

    async def artifact(self, repository: str, digest: str) -> Artifact | None:
        got = await self._http.call("GET", f"/v2/{repository}/manifests/{digest}", ok=(200, 404), headers=_ACCEPT)
        if got.status_code == 404:
            return None
        try:
            listed: list[dict[str, Any]] = body(got).get("manifests") or []
            return Artifact(digest, children=frozenset(str(m["digest"]) for m in listed))
        except (AttributeError, KeyError, TypeError) as e:
            raise RegistryFailed(f"{repository}@{digest}: not a manifest") from e

    async def delete(self, repository: str, digest: str) -> bool:
        gone = await self._http.call("DELETE", f"/v2/{repository}/manifests/{digest}", ok=(202, 404))
        return gone.status_code == 202

    async def forget(self, repository: str) -> bool:  # noqa: ARG002
        """The registry has no call for it: an empty repository is a folder that costs nothing."""
        return False

    @property
    def keeps_empty(self) -> bool:
        return False

    async def repositories(self, namespace: str) -> list[str]:
        """From the registry's catalog, which has every namespace's."""
        return [n for n in await self._names("/v2/_catalog", "repositories") if n.startswith(f"{namespace}/")]

    async def rivals(self, namespace: str) -> list[str]:  # noqa: ARG002
        """It deletes nothing by itself."""
        return []

    async def close(self) -> None:
        await self._http.close()

    async def _tags(self, repository: str) -> list[str]:
        return await self._names(f"/v2/{repository}/tags/list", "tags")

    async def _names(self, path: str, field: str) -> list[str]:
        """Every page of a list; one that isn't there is empty."""
        found: list[str] = []
        params: dict[str, Any] = {"n": _PAGE}
        for _ in range(_MAX_PAGES):
            page = await self._http.call("GET", path, ok=(200, 404), params=params)
            if page.status_code == 404:
                break
            names: list[str] = body(page).get(field) or []
            found.extend(names)
            # The next page is asked for by its last name, not by the link's address, which a proxy may have got wrong.
            if not names or not _LAST.search(page.headers.get("link", "")):
                break
            params["last"] = names[-1]
        return found
