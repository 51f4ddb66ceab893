"""Gitea's API v1, which Forgejo speaks too: repositories, teams, files, hooks, keys. https://docs.gitea.com/api

::

    GiteaFailed      Gitea can't be reached, refuses the token, or refuses the request; ``why`` tells which
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx

from funai.base.clients.transport import Transport
from funai.contracts.errors import CalleeFailed
from funai.contracts.reasons import Reason

API = "/api/v1"
PAGE = 50
"""Rows a page; Gitea's own default for the most it gives."""
MAX_PAGES = 40
MAX_REPO_PAGES = 2_000
_MAX_SAID = 300


class Why(StrEnum):
    AWAY = "AWAY"
    """No answer, or a failure of its own: it may be back in a moment."""
    FORBIDDEN = Reason.FORBIDDEN
    """401 or 403: the token is unknown, or lacks a scope or a right."""
    REFUSED = "REFUSED"


class GiteaFailed(CalleeFailed):
    def __init__(self, detail: str, why: Why) -> None:
        self.why = why
        super().__init__(Reason.CALLEE_FAILED, service="gitea", detail=detail)


@dataclass(frozen=True, slots=True)
class AccountKey:
    """A public key of an account. ``text`` is ``<type> <base64>``; Gitea may add a comment to it."""

    id: int
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Hook:
    id: int
    url: str


class _Calls:
    """Gitea's API with one token. Raises GiteaFailed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def pages(self, path: str, pages: int = MAX_PAGES) -> list[dict[str, object]]:
        """Every row of a list; a list that isn't there is empty."""
        found: list[dict[str, object]] = []
        for page in range(1, pages + 1):
            answer = await self.call("GET", path, ok=(200, 404), params={"page": page, "limit": PAGE})
            rows = _rows(answer) if answer.status_code == 200 else []
            found += rows
            # Gitea gives fewer than asked where its own setting says so, hence up to the first empty page.
            if not rows:
                break
        return found

    async def call(
        self, method: str, path: str, *, ok: Collection[int], json: Any = None, params: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        what = f"{method} {path}"
        try:
            answer = await self._transport.raw.request(method, API + path, json=json, params=params)
        except httpx.HTTPError as e:
            raise GiteaFailed(f"{what}: {str(e) or type(e).__name__}", Why.AWAY) from e
        if answer.status_code in ok:
            return answer
        said = f"{what}: HTTP {answer.status_code} {_said(answer)}".rstrip()
        if answer.has_redirect_location:
            raise GiteaFailed(f"{said} (to {answer.headers['Location'][:_MAX_SAID]})", Why.REFUSED)
        if answer.status_code in (401, 403):
            raise GiteaFailed(said, Why.FORBIDDEN)
        raise GiteaFailed(said, Why.AWAY if answer.status_code >= 500 or answer.status_code == 429 else Why.REFUSED)


class Gitea:
    """One Gitea, spoken to with one token. Every method raises GiteaFailed; each is idempotent unless it says otherwise."""

    def __init__(self, base_url: str, token: str, *, timeout: float = 8, http: httpx.AsyncBaseTransport | None = None) -> None:
        headers = {"Authorization": f"token {token}", "Accept": "application/json"}
        self._transport = Transport("gitea", base_url, headers, timeout=timeout, http=http)
        self._api = _Calls(self._transport)

    async def close(self) -> None:
        await self._transport.close()

    # ------------------------------------------------------------ repositories

    async def has_repo(self, owner: str, name: str) -> bool:
        return (await self._api.call("GET", _path("repos", owner, name), ok=(200, 404))).status_code == 200

    async def create_repo(self, org: str, name: str, *, auto_init: bool, default_branch: str) -> bool:
        """Make a private repository in an organisation; False when there is one of that name."""
        body = {"name": name, "private": True, "auto_init": auto_init, "default_branch": default_branch}
        made = await self._api.call("POST", _path("orgs", org, "repos"), ok=(201, 409), json=body)
        return made.status_code == 201

    async def delete_repo(self, owner: str, name: str) -> None:
        """Remove the repository with all its history; a missing one is fine."""
        await self._api.call("DELETE", _path("repos", owner, name), ok=(204, 404))

    async def repos(self, org: str) -> list[str]:
        """Names of the organisation's repositories that the token may see."""
        rows = await self._api.pages(_path("orgs", org, "repos"), MAX_REPO_PAGES)
        return [str(row.get("name")) for row in rows]

    async def root_names(self, owner: str, name: str) -> set[str]:
        """Names in the root folder of the default branch; empty where there is no commit."""
        listed = await self._api.call("GET", _path("repos", owner, name, "contents"), ok=(200, 404))
        rows = _rows(listed) if listed.status_code == 200 else []
        return {str(row.get("name")) for row in rows}

    async def create_file(self, owner: str, name: str, path: str, content: bytes, *, branch: str, message: str) -> None:
        """Commit one new file; one that is there already is left as it is."""
        body = {"content": base64.b64encode(content).decode(), "branch": branch, "message": message}
        where = _path("repos", owner, name, "contents", *path.split("/"))
        await self._api.call("POST", where, ok=(201, 422), json=body)

    # ------------------------------------------------------------ who may do what

    async def team(self, org: str, name: str) -> int | None:
        """The id of the organisation's team of that name."""
        for row in await self._api.pages(_path("orgs", org, "teams")):
            if row.get("name") == name:
                return _id(row)
        return None

    async def admit_team(self, team_id: int, org: str, repo: str) -> None:
        await self._api.call("PUT", _path("teams", str(team_id), "repos", org, repo), ok=(204,))

    async def admit(self, owner: str, repo: str, account: str, permission: str) -> bool:
        """Make an account a collaborator with ``read`` or ``write``; False when there is no such account."""
        where = _path("repos", owner, repo, "collaborators", account)
        done = await self._api.call("PUT", where, ok=(204, 404, 422), json={"permission": permission})
        return done.status_code == 204

    async def expel(self, owner: str, repo: str, account: str) -> None:
        await self._api.call("DELETE", _path("repos", owner, repo, "collaborators", account), ok=(204, 404, 422))

    # ------------------------------------------------------------ hooks

    async def hooks(self, owner: str, repo: str) -> list[Hook]:
        rows = await self._api.pages(_path("repos", owner, repo, "hooks"))
        return [Hook(_id(row), _url(row.get("config"))) for row in rows]

    async def create_hook(self, owner: str, repo: str, url: str, secret: str) -> None:
        """A push hook, signed with ``secret``. Not idempotent: two calls make two hooks."""
        body = {"type": "gitea", "active": True, "events": ["push"], "config": _hook_config(url, secret)}
        await self._api.call("POST", _path("repos", owner, repo, "hooks"), ok=(201,), json=body)

    async def renew_hook(self, owner: str, repo: str, hook: Hook, secret: str) -> None:
        body = {"active": True, "events": ["push"], "config": _hook_config(hook.url, secret)}
        await self._api.call("PATCH", _path("repos", owner, repo, "hooks", str(hook.id)), ok=(200,), json=body)

    # ------------------------------------------------------------ accounts

    async def account(self, name: str) -> Mapping[str, object] | None:
        """The account's public fields, ``is_admin`` among them for an admin's token; None when there is none."""
        found = await self._api.call("GET", _path("users", name), ok=(200, 404))
        return _object(found) if found.status_code == 200 else None

    async def keys(self, account: str) -> list[AccountKey]:
        rows = await self._api.pages(_path("users", account, "keys"))
        return [AccountKey(_id(row), str(row.get("title", "")), str(row.get("key", ""))) for row in rows]

    async def add_key(self, account: str, title: str, text: str) -> bool:
        """False when Gitea has the key already, of this account or of another: a key is one account's."""
        body = {"title": title, "key": text, "read_only": False}
        made = await self._api.call("POST", _path("admin", "users", account, "keys"), ok=(201, 422), json=body)
        return made.status_code == 201

    async def remove_key(self, account: str, key_id: int) -> None:
        await self._api.call("DELETE", _path("admin", "users", account, "keys", str(key_id)), ok=(204, 404))


def _path(*parts: str) -> str:
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _hook_config(url: str, secret: str) -> dict[str, str]:
    return {"url": url, "content_type": "json", "secret": secret}


def _url(config: object) -> str:
    return str(config.get("url", "")) if isinstance(config, dict) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]


def _id(row: Mapping[str, object]) -> int:
    found = row.get("id")
    if not isinstance(found, int):
        raise GiteaFailed("a row of the answer has no id", Why.REFUSED)
    return found


def _json(answer: httpx.Response) -> object:
    try:
        return answer.json()
    except ValueError as e:
        raise GiteaFailed(f"{answer.request.url.path}: the answer is not JSON, so this is no Gitea", Why.REFUSED) from e


def _rows(answer: httpx.Response) -> list[dict[str, object]]:
    found = _json(answer)
    if not isinstance(found, list):
        raise GiteaFailed(f"{answer.request.url.path}: the answer is not a list", Why.REFUSED)
    return [row for row in found if isinstance(row, dict)]  # pyright: ignore[reportUnknownVariableType]


def _object(answer: httpx.Response) -> dict[str, object]:
    found = _json(answer)
    if not isinstance(found, dict):
        raise GiteaFailed(f"{answer.request.url.path}: the answer is not an object", Why.REFUSED)
    return found  # pyright: ignore[reportUnknownVariableType]


def _said(answer: httpx.Response) -> str:
    """Gitea's own words; its errors are ``{"message", "url"}``."""
    try:
        body: object = answer.json()
    except ValueError:
        return ""
    return str(body.get("message", ""))[:_MAX_SAID] if isinstance(body, dict) else ""  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
