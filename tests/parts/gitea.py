"""A scripted Gitea: it keeps what it is told, and speaks only what Gitea's published OpenAPI has."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import httpx

from tests.parts.openapi import Published

TOKEN = "gitea-token"
ORG = "funai"
BEYOND = {"POST /orgs/{org}/repos": {409}}
"""Gitea's source answers 409 for a name that is taken (routers/api/v1/repo/repo.go); its document has it for users' only."""


@dataclass
class Repo:
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    private: bool = False
    default_branch: str = ""
    teams: set[int] = field(default_factory=set[int])
    collaborators: dict[str, str] = field(default_factory=dict[str, str])
    hooks: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    messages: list[str] = field(default_factory=list[str])


class ScriptedGitea:
    """``transport`` is what a client is given. ``away`` and ``refusing`` are switches."""

    def __init__(self) -> None:
        self.transport = Published("gitea-v1", self._answer, beyond=BEYOND)
        self.repos: dict[str, Repo] = {}
        self.teams = {"runner-readonly": 7, "workspace-write": 8}
        self.users: dict[str, bool] = {"runner-bot": False, "ada": False, "boss": True}
        """Account → whether it is an admin."""
        self.keys: dict[str, list[dict[str, Any]]] = {}
        self.away = False
        self.refusing = 0
        """A status with which every call is refused, as 401 or 403."""
        self.fail_at = ""
        """A call, ``METHOD /path``, that is answered with 500 once."""
        self._ids = iter(range(100, 10_000))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        path = unquote(request.url.path).removeprefix("/api/v1")
        if self.away:
            raise httpx.ConnectError("connection refused", request=request)
        if self.refusing:
            return httpx.Response(self.refusing, json={"message": "token does not have the required scope", "url": "x"})
        if request.headers["authorization"] != f"token {TOKEN}":
            return httpx.Response(401, json={"message": "unauthorized"})
        if self.fail_at and f"{request.method} {path}".startswith(self.fail_at):
            self.fail_at = ""
            return httpx.Response(500, json={"message": "internal"})
        body: dict[str, Any] = json.loads(request.content) if request.content else {}
        for pattern, handler in _ROUTES:
            if found := re.fullmatch(pattern, f"{request.method} {path}"):
                page = int(request.url.params.get("page", 1))
                return handler(self, *found.groups(), **({"body": body} if body else {"page": page}))
        raise AssertionError(f"not scripted: {request.method} {path}")

    # ------------------------------------------------------------ repositories

    def repo(self, name: str, **_: Any) -> httpx.Response:
        return httpx.Response(200, json=self._shown(name)) if name in self.repos else _missing()

    def list_repos(self, org: str, *, page: int) -> httpx.Response:
        if org != ORG:
            return _missing()
        names = sorted(self.repos)[page - 1 : page]
        return httpx.Response(200, json=[self._shown(name) for name in names])

    def create(self, org: str, *, body: dict[str, Any]) -> httpx.Response:
        if org != ORG:
            return _missing()
        name = f"{org}/{body['name']}"
        if name in self.repos:
            return httpx.Response(409, json={"message": "The repository with the same name already exists."})
        repo = self.repos[name] = Repo(private=body["private"], default_branch=body["default_branch"])
        if body["auto_init"]:
            repo.files["README.md"] = b"# app\n"
        return httpx.Response(201, json=self._shown(name))

    def delete(self, name: str, **_: Any) -> httpx.Response:
        return httpx.Response(204) if self.repos.pop(name, None) else _missing()

    def contents(self, name: str, **_: Any) -> httpx.Response:
        if name not in self.repos:
            return _missing()
        tops = {path.partition("/")[0] for path in self.repos[name].files}
        return httpx.Response(200, json=[{"name": top, "path": top, "type": "file"} for top in sorted(tops)])

    def create_file(self, name: str, path: str, *, body: dict[str, Any]) -> httpx.Response:
        repo = self.repos[name]
        if path in repo.files:
            return httpx.Response(422, json={"message": f"repository file already exists [path: {path}]"})
        assert body["branch"] == repo.default_branch
        repo.files[path] = base64.b64decode(body["content"], validate=True)
        repo.messages.append(body["message"])
        return httpx.Response(201, json={"content": {"name": path, "path": path, "type": "file"}})

    # ------------------------------------------------------------ rights and hooks

    def list_teams(self, org: str, *, page: int) -> httpx.Response:
        rows = [{"id": id_, "name": name, "permission": "read"} for name, id_ in self.teams.items()]
        return httpx.Response(200, json=rows[page - 1 : page])  # one a page: a setting of Gitea's may say so

    def admit_team(self, team_id: str, name: str, **_: Any) -> httpx.Response:
        if int(team_id) not in self.teams.values():
            return _missing()
        self.repos[name].teams.add(int(team_id))
        return httpx.Response(204)

    def admit(self, name: str, account: str, *, body: dict[str, Any]) -> httpx.Response:
        if account not in self.users:
            return httpx.Response(422, json={"message": "user does not exist"})
        if name not in self.repos:
            return _missing()
        self.repos[name].collaborators[account] = body["permission"]
        return httpx.Response(204)

    def expel(self, name: str, account: str, **_: Any) -> httpx.Response:
        if name not in self.repos:
            return _missing()
        self.repos[name].collaborators.pop(account, None)
        return httpx.Response(204)

    def hooks(self, name: str, *, page: int) -> httpx.Response:
        shown = [{**h, "config": {k: v for k, v in h["config"].items() if k != "secret"}} for h in self.repos[name].hooks]
        return httpx.Response(200, json=shown if page == 1 else [])

    def create_hook(self, name: str, *, body: dict[str, Any]) -> httpx.Response:
        hook = {"id": next(self._ids), **body}
        self.repos[name].hooks.append(hook)
        return httpx.Response(201, json=hook)

    def renew_hook(self, name: str, hook_id: str, *, body: dict[str, Any]) -> httpx.Response:
        hook = next(h for h in self.repos[name].hooks if h["id"] == int(hook_id))
        hook.update(body)
        return httpx.Response(200, json=hook)

    # ------------------------------------------------------------ accounts

    def account(self, name: str, **_: Any) -> httpx.Response:
        login = next((u for u in self.users if u.lower() == name.lower()), None)
        if login is None:
            return _missing()
        return httpx.Response(200, json={"id": 1, "login": login, "is_admin": self.users[login]})

    def list_keys(self, name: str, *, page: int) -> httpx.Response:
        return httpx.Response(200, json=self.keys.get(name, []) if page == 1 else [])

    def add_key(self, name: str, *, body: dict[str, Any]) -> httpx.Response:
        if any(k["key"] == body["key"] for keys in self.keys.values() for k in keys):
            return httpx.Response(422, json={"message": "Key content has been used as non-deploy key"})
        key = {"id": next(self._ids), **body}
        self.keys.setdefault(name, []).append(key)
        return httpx.Response(201, json=key)

    def remove_key(self, name: str, key_id: str, **_: Any) -> httpx.Response:
        left = [k for k in self.keys.get(name, []) if k["id"] != int(key_id)]
        gone = len(left) != len(self.keys.get(name, []))
        self.keys[name] = left
        return httpx.Response(204) if gone else _missing()

    def _shown(self, name: str) -> dict[str, Any]:
        repo = self.repos[name]
        short = name.partition("/")[2]
        return {"id": 1, "name": short, "full_name": name, "private": repo.private, "default_branch": repo.default_branch}


def _missing() -> httpx.Response:
    return httpx.Response(404, json={"message": "not found", "url": "x"})


_R = r"([^/ ]+/[^/ ]+)"
_ROUTES: list[tuple[str, Any]] = [
    (rf"GET /repos/{_R}", ScriptedGitea.repo),
    (rf"DELETE /repos/{_R}", ScriptedGitea.delete),
    (r"GET /orgs/([^/]+)/repos", ScriptedGitea.list_repos),
    (r"POST /orgs/([^/]+)/repos", ScriptedGitea.create),
    (rf"GET /repos/{_R}/contents", ScriptedGitea.contents),
    (rf"POST /repos/{_R}/contents/(.+)", ScriptedGitea.create_file),
    (r"GET /orgs/([^/]+)/teams", ScriptedGitea.list_teams),
    (rf"PUT /teams/(\d+)/repos/{_R}", ScriptedGitea.admit_team),
    (rf"PUT /repos/{_R}/collaborators/([^/]+)", ScriptedGitea.admit),
    (rf"DELETE /repos/{_R}/collaborators/([^/]+)", ScriptedGitea.expel),
    (rf"GET /repos/{_R}/hooks", ScriptedGitea.hooks),
    (rf"POST /repos/{_R}/hooks", ScriptedGitea.create_hook),
    (rf"PATCH /repos/{_R}/hooks/(\d+)", ScriptedGitea.renew_hook),
    (r"GET /users/([^/]+)", ScriptedGitea.account),
    (r"GET /users/([^/]+)/keys", ScriptedGitea.list_keys),
    (r"POST /admin/users/([^/]+)/keys", ScriptedGitea.add_key),
    (r"DELETE /admin/users/([^/]+)/keys/(\d+)", ScriptedGitea.remove_key),
]
