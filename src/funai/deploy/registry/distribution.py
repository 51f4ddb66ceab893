"""The registry API that every registry speaks. https://distribution.github.io/distribution/spec/api/"""

from __future__ import annotations

import re
from typing import Any

from funai.deploy.registry.contract import Artifact, RegistryFailed
from funai.deploy.registry.http import RegistryHttp, body

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_ACCEPT = {"Accept": ", ".join(MANIFESTS)}
_PAGE = 500
_MAX_PAGES = 200
_LAST = re.compile(r'[?&]last=([^&>]+)[^>]*>\s*;\s*rel="?next"?')


class Distribution:
    """``ImageRegistry`` over distribution's API. It lists tags only, so untagged manifests are known by digest alone."""

    def __init__(self, http: RegistryHttp) -> None:
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

    async def close(self) -> None:
        await self._http.close()

    async def _tags(self, repository: str) -> list[str]:
        found: list[str] = []
        params: dict[str, Any] = {"n": _PAGE}
        for _ in range(_MAX_PAGES):
            page = await self._http.call("GET", f"/v2/{repository}/tags/list", ok=(200, 404), params=params)
            if page.status_code == 404:
                break
            names: list[str] = body(page).get("tags") or []
            found.extend(names)
            # The next page is asked for by its last name, not by the link's address, which a proxy may have got wrong.
            if not names or not _LAST.search(page.headers.get("link", "")):
                break
            params["last"] = names[-1]
        return found
