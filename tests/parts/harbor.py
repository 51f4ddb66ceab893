"""A scripted Harbor: it keeps what it is told, and speaks only what Harbor's published OpenAPI has."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Request, Response

from funai.base.aio import bind, serving
from tests.parts.openapi import Published

API = "/api/v2.0"
PASSWORD = "Harbor12345"
PROJECT_ID = 3
BEYOND = {"DELETE /projects/{project_name}/repositories/{repository_name}/artifacts/{reference}": {412}}
"""What Harbor answers for a tag that a rule keeps (`PreconditionCode` in its source); its document leaves it out."""


class ScriptedHarbor:
    """``transport`` is what a client is given; :meth:`served` puts it on a loopback port."""

    def __init__(self) -> None:
        self.transport = Published("harbor-v2.0", self._answer, beyond=BEYOND)
        self.password = PASSWORD
        self.projects: dict[str, dict[str, Any]] = {}
        self.robots: list[dict[str, Any]] = []
        self.policy: dict[str, Any] | None = None
        self.old = False
        """A Harbor whose robots may not read retention policies."""
        self.immutable: set[str] = set()
        """Digests that a rule of immutable tags keeps."""
        self.artifacts: dict[str, dict[str, dict[str, Any]]] = {}
        """Repository, with its project → digest → artifact; an entry without artifacts is an empty repository."""
        self._secrets = iter(f"secret-{number}" for number in range(1, 1000))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        given = base64.b64decode(request.headers.get("authorization", "Basic ").split(" ", 1)[1]).decode()
        if not given.endswith(f":{self.password}"):
            return httpx.Response(401, json={"errors": [{"code": "UNAUTHORIZED", "message": "unauthorized"}]})
        path = request.url.raw_path.decode().partition("?")[0].removeprefix(API)
        body = json.loads(request.content) if request.content else None
        for pattern, handler in _ROUTES:
            if found := re.fullmatch(pattern, f"{request.method} {path}"):
                return handler(self, *found.groups(), body=body, params=request.url.params)
        raise AssertionError(f"not scripted: {request.method} {path}")

    def project(self, name: str, **_: Any) -> httpx.Response:
        if name not in self.projects:
            return _refused(404, "NOT_FOUND", f"project {name} not found")
        metadata = {"public": "false", **({"retention_id": str(self.policy["id"])} if self.policy else {})}
        return httpx.Response(200, json={"project_id": PROJECT_ID, "name": name, "metadata": metadata})

    def create_project(self, *, body: Any, **_: Any) -> httpx.Response:
        self.projects[body["project_name"]] = body
        return httpx.Response(201)

    def list_robots(self, *, params: httpx.QueryParams, **_: Any) -> httpx.Response:
        assert params["q"] == f"Level=project,ProjectID={PROJECT_ID}"
        page, size = int(params["page"]), int(params["page_size"])
        return httpx.Response(200, json=[_shown(r) for r in self.robots[(page - 1) * size : page * size]])

    def create_robot(self, *, body: Any, **_: Any) -> httpx.Response:
        if self._too_much(body):
            return _refused(400, "BAD_REQUEST", "bad request permission: tag-retention with action read")
        project = body["permissions"][0]["namespace"]
        name, secret = f"robot${project}+{body['name']}", next(self._secrets)
        self.robots.append({**body, "id": len(self.robots) + 1, "name": name, "secret": secret})
        return httpx.Response(201, json={"id": len(self.robots), "name": name, "secret": secret})

    def change_robot(self, robot_id: str, *, body: Any, **_: Any) -> httpx.Response:
        if self._too_much(body):
            return _refused(400, "BAD_REQUEST", "bad request permission: tag-retention with action read")
        robot = self.robots[int(robot_id) - 1]
        assert body["name"] == robot["name"]
        robot.update(body)
        return httpx.Response(200)

    def new_secret(self, robot_id: str, *, body: Any, **_: Any) -> httpx.Response:
        robot = self.robots[int(robot_id) - 1]
        robot["secret"] = body["secret"] or next(self._secrets)
        return httpx.Response(200, json={"secret": robot["secret"]})

    def show_policy(self, policy_id: str, **_: Any) -> httpx.Response:
        assert self.policy and self.policy["id"] == int(policy_id)
        return httpx.Response(200, json=self.policy)

    def create_policy(self, *, body: Any, **_: Any) -> httpx.Response:
        self.policy = {"id": 12, **body}
        return httpx.Response(201)

    def change_policy(self, policy_id: str, *, body: Any, **_: Any) -> httpx.Response:
        self.policy = {**body, "id": int(policy_id)}
        return httpx.Response(200)

    def list_artifacts(self, project: str, name: str, *, params: httpx.QueryParams, **_: Any) -> httpx.Response:
        there = self.artifacts.get(f"{project}/{name}")
        if there is None:
            return _refused(404, "NOT_FOUND", "repository not found")
        page, size = int(params["page"]), int(params["page_size"])
        return httpx.Response(200, json=list(there.values())[(page - 1) * size : page * size])

    def show_artifact(self, project: str, name: str, digest: str, **_: Any) -> httpx.Response:
        found = self.artifacts.get(f"{project}/{name}", {}).get(digest)
        return httpx.Response(200, json=found) if found else _refused(404, "NOT_FOUND", "artifact not found")

    def delete_artifact(self, project: str, name: str, digest: str, **_: Any) -> httpx.Response:
        if digest in self.immutable:
            words = f"Failed to process request due to '{name}:x' configured as immutable."
            return _refused(412, "PRECONDITION", words)
        gone = self.artifacts.get(f"{project}/{name}", {}).pop(digest, None)
        return httpx.Response(200) if gone else _refused(404, "NOT_FOUND", "artifact not found")

    def list_repositories(self, project: str, *, params: httpx.QueryParams, **_: Any) -> httpx.Response:
        page, size = int(params["page"]), int(params["page_size"])
        names = sorted(name for name in self.artifacts if name.startswith(f"{project}/"))
        rows = [{"name": name, "artifact_count": len(self.artifacts[name])} for name in names]
        return httpx.Response(200, json=rows[(page - 1) * size : page * size])

    def delete_repository(self, project: str, name: str, **_: Any) -> httpx.Response:
        gone = self.artifacts.pop(f"{project}/{name}", None)
        return httpx.Response(200) if gone is not None else _refused(404, "NOT_FOUND", "repository not found")

    def _too_much(self, body: Any) -> bool:
        asked = {a["resource"] for a in body["permissions"][0]["access"]}
        return self.old and "tag-retention" in asked

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Its address, ``host:port``, over plain HTTP."""
        app = FastAPI()

        async def hand_on(request: Request) -> Response:
            asked = httpx.Request(request.method, str(request.url), headers=request.headers.raw, content=await request.body())
            answer = await self.transport.handle_async_request(asked)
            return Response(answer.content, answer.status_code, media_type=answer.headers.get("content-type"))

        app.add_route("/{path:path}", hand_on, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
        async with serving(app, bind("127.0.0.1", 0)) as port:
            yield f"127.0.0.1:{port}"


def _shown(robot: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in robot.items() if k != "secret"}


def _refused(status: int, code: str, message: str) -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"code": code, "message": message}]})


_REPO = r"/projects/([^/]+)/repositories/([^/]+)"
_ROUTES: list[tuple[str, Any]] = [
    (r"GET /projects/([^/]+)", ScriptedHarbor.project),
    (r"POST /projects", ScriptedHarbor.create_project),
    (r"GET /robots", ScriptedHarbor.list_robots),
    (r"POST /robots", ScriptedHarbor.create_robot),
    (r"PUT /robots/(\d+)", ScriptedHarbor.change_robot),
    (r"PATCH /robots/(\d+)", ScriptedHarbor.new_secret),
    (r"POST /retentions", ScriptedHarbor.create_policy),
    (r"GET /retentions/(\d+)", ScriptedHarbor.show_policy),
    (r"PUT /retentions/(\d+)", ScriptedHarbor.change_policy),
    (r"GET /projects/([^/]+)/repositories", ScriptedHarbor.list_repositories),
    (rf"GET {_REPO}/artifacts", ScriptedHarbor.list_artifacts),
    (rf"GET {_REPO}/artifacts/(.+)", ScriptedHarbor.show_artifact),
    (rf"DELETE {_REPO}/artifacts/(.+)", ScriptedHarbor.delete_artifact),
    (rf"DELETE {_REPO}", ScriptedHarbor.delete_repository),
]
