"""Harbor's artifact API (v2.0). https://goharbor.io/docs/latest/working-with-projects/using-api-explorer/"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from funai.base.clients.registry.contract import Artifact, RegistryFailed
from funai.base.clients.registry.harbor_rules import endangering
from funai.base.clients.registry.http import RegistryAt, body

API = "/api/v2.0"
_PAGE = 100
_MAX_PAGES = 1_000


class Harbor:
    """``ImageRegistry`` over Harbor: the first part of a path is its project, the rest its repository.

    Harbor lists untagged manifests too, and deletes an artifact with its tags. It asks for a robot account that may
    list, read and delete artifacts, and read the project and its retention policy for ``rivals``.
    """

    def __init__(self, http: RegistryAt) -> None:
        self._http = http

    async def artifacts(self, repository: str) -> list[Artifact]:
        return [_artifact(row) for row in await self._rows(_artifacts(repository), {"with_tag": "true"})]

    async def artifact(self, repository: str, digest: str) -> Artifact | None:
        params = {"with_tag": "true"}
        got = await self._http.call("GET", f"{_artifacts(repository)}/{digest}", ok=(200, 404), params=params)
        return _artifact(body(got)) if got.status_code == 200 else None

    async def delete(self, repository: str, digest: str) -> bool:
        gone = await self._http.call("DELETE", f"{_artifacts(repository)}/{digest}", ok=(200, 404))
        return gone.status_code == 200

    async def forget(self, repository: str) -> bool:
        """Harbor removes an entry with what is in it, so this looks first that nothing is."""
        if await self.artifacts(repository):
            return False
        return (await self._http.call("DELETE", _repository(repository), ok=(200, 404))).status_code == 200

    @property
    def keeps_empty(self) -> bool:
        return True

    async def repositories(self, namespace: str) -> list[str]:
        project = namespace.partition("/")[0]
        rows = await self._rows(f"{API}/projects/{quote(project, safe='')}/repositories", {})
        try:
            names = [str(row["name"]) for row in rows]
        except (KeyError, TypeError) as e:
            raise RegistryFailed("the answer is not a repository of Harbor's") from e
        return [name for name in names if name.startswith(f"{namespace}/")]

    async def rivals(self, namespace: str) -> list[str]:
        policy = await project_policy(self._http, namespace.partition("/")[0])
        return endangering(policy) if policy else []

    async def close(self) -> None:
        await self._http.close()

    async def _rows(self, path: str, params: Mapping[str, str]) -> list[Any]:
        """Every page of a list; one that isn't there is empty."""
        found: list[Any] = []
        for page in range(1, _MAX_PAGES + 1):
            asked = {"page": page, "page_size": _PAGE, **params}
            got = await self._http.call("GET", path, ok=(200, 404), params=asked)
            rows: list[Any] = [] if got.status_code == 404 else body(got)
            found.extend(rows)
            if len(rows) < _PAGE:
                break
        return found


async def project_policy(http: RegistryAt, project: str) -> dict[str, Any] | None:
    """A project's retention policy; None when it has none. Raises RegistryFailed."""
    path = f"{API}/projects/{quote(project, safe='')}"
    found = await http.call("GET", path, ok=(200, 404), headers={"X-Is-Resource-Name": "true"})
    shown: Any = body(found) if found.status_code == 200 else {}
    try:
        metadata: dict[str, Any] = shown.get("metadata") or {}
        policy_id = str(metadata.get("retention_id") or "")
    except AttributeError as e:
        raise RegistryFailed("the answer is not a project of Harbor's") from e
    if not policy_id.isdecimal():
        return None
    policy: Any = body(await http.call("GET", f"{API}/retentions/{policy_id}", ok=(200,)))
    if not isinstance(policy, dict):
        raise RegistryFailed("the answer is not a retention policy of Harbor's")
    return policy  # pyright: ignore[reportUnknownVariableType]


def _repository(repository: str) -> str:
    """Slashes in a repository's name are encoded twice over, as Harbor's specification asks."""
    project, slash, rest = repository.partition("/")
    if not slash:
        raise RegistryFailed(f"{repository}: Harbor keeps repositories in a project; set a namespace")
    return f"{API}/projects/{quote(project, safe='')}/repositories/{quote(quote(rest, safe=''), safe='')}"


def _artifacts(repository: str) -> str:
    return f"{_repository(repository)}/artifacts"


def _artifact(row: Any) -> Artifact:
    try:
        return Artifact(str(row["digest"]), _each(row.get("tags"), "name"), _each(row.get("references"), "child_digest"))
    except (KeyError, TypeError, AttributeError) as e:
        raise RegistryFailed("the answer is not an artifact of Harbor's") from e


def _each(rows: list[dict[str, Any]] | None, name: str) -> frozenset[str]:
    return frozenset(str(r[name]) for r in rows or ())
