"""Harbor's project, robot and retention calls (API v2.0), made with an admin's login."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from funai.base.clients.registry.contract import RegistryFailed
from funai.base.clients.registry.harbor import API, project_policy
from funai.base.clients.registry.http import RegistryAt, body

T = TypeVar("T")
_PAGE = 100
_MAX_PAGES = 100
_BY_NAME = {"X-Is-Resource-Name": "true"}


@dataclass(frozen=True, slots=True)
class Robot:
    """A robot's login. Harbor gives the secret when it makes the robot or a new secret, and never again."""

    username: str
    secret: str


class HarborAdmin:
    """All raise RegistryFailed. Calls that make something are not idempotent; the caller looks first."""

    def __init__(self, http: RegistryAt) -> None:
        self._http = http

    async def close(self) -> None:
        await self._http.close()

    async def project(self, name: str) -> int | None:
        """The project's id; None when there is none."""
        found = await self._call("GET", f"/projects/{name}", ok=(200, 404), headers=_BY_NAME)
        return _read(found, "project_id", int) if found.status_code == 200 else None

    async def create_project(self, name: str) -> None:
        """A private project without a quota of its own."""
        await self._call("POST", "/projects", ok=(201, 409), send={"project_name": name, "metadata": {"public": "false"}})

    async def robots(self, project_id: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for page in range(1, _MAX_PAGES + 1):
            params = {"q": f"Level=project,ProjectID={project_id}", "page": page, "page_size": _PAGE}
            rows: list[dict[str, Any]] = body(await self._call("GET", "/robots", ok=(200,), params=params))
            found += rows
            if len(rows) < _PAGE:
                break
        return found

    async def create_robot(self, robot: Mapping[str, Any]) -> Robot | None:
        """None when this Harbor gives no robot such an access."""
        made = await self._call("POST", "/robots", ok=(201, 400), send=robot)
        if made.status_code == 400:
            return None
        return Robot(_read(made, "name", str), _read(made, "secret", str))

    async def change_robot(self, there: Mapping[str, Any], robot: Mapping[str, Any]) -> bool:
        """False when this Harbor gives no robot such an access."""
        changed = {**robot, "name": there["name"], "id": there["id"]}
        done = await self._call("PUT", f"/robots/{int(there['id'])}", ok=(200, 400), send=changed)
        return done.status_code == 200

    async def new_secret(self, there: Mapping[str, Any]) -> Robot:
        """The secret before it ends at once."""
        made = await self._call("PATCH", f"/robots/{int(there['id'])}", ok=(200,), send={"secret": ""})
        return Robot(str(there["name"]), _read(made, "secret", str))

    async def policy(self, project: str) -> dict[str, Any] | None:
        """The project's retention policy."""
        return await project_policy(self._http, project)

    async def write_policy(self, policy: Mapping[str, Any]) -> None:
        """One with an ``id`` is changed, else it becomes its project's."""
        if "id" in policy:
            await self._call("PUT", f"/retentions/{int(policy['id'])}", ok=(200,), send=policy)
        else:
            await self._call("POST", "/retentions", ok=(201,), send=policy)

    async def _call(
        self,
        method: str,
        path: str,
        *,
        ok: Collection[int],
        send: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        sent = {**(headers or {}), **({"Content-Type": "application/json"} if send is not None else {})}
        content = json.dumps(send).encode() if send is not None else None
        return await self._http.call(method, API + path, ok=ok, params=params, headers=sent, content=content)


def _read(answer: httpx.Response, name: str, kind: Callable[[Any], T]) -> T:
    try:
        return kind(body(answer)[name])
    except (KeyError, TypeError, ValueError) as e:
        raise RegistryFailed(f"{answer.request.url.path}: the answer has no {name}, so this is no Harbor") from e
