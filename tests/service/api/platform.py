"""The API beside the real Deploy service, in one process; the network between them can be cut, and nodes are steerable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import SecretStr

from funai.api import main as api_main
from funai.api.accounts.passwords import Passwords
from funai.api.settings import ApiSettings
from funai.base.config.sealing import Sealer
from funai.deploy import main as deploy_main
from funai.deploy.settings import DeploySettings
from tests.parts.gitea import ScriptedGitea
from tests.parts.migrated import migrated

SECRET, ADMIN, NODE, GIT = "deploy-secret", "admin-token", "node-token", "git-token"
PASSWORD = "correct horse"
BASE = "http://test/api/fun-ai"


class Wire(httpx.AsyncBaseTransport):
    """The way to Deploy. ``cut`` counts requests that never arrive, ``lose`` answers that never come back."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self.inner, self.cut, self.lose = inner, 0, 0
        self.only = ""
        self.fail = 0
        """Requests that Deploy carries out and then answers with 503, as when its database goes in a COMMIT."""
        self.held: asyncio.Event | None = None
        """While set to an event, requests wait for it."""
        self.asked: list[str] = []
        """The paths of all requests, of any method."""
        self.older = False
        """Deploy speaks the contract without our calls for many apps and for events."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/deploy/events":  # always under way, beside what a test is about
            return httpx.Response(404, request=request) if self.older else await self.inner.handle_async_request(request)
        self.asked.append(request.url.path)
        if self.older and request.url.path == "/deploy/apps/overview":
            body = {"code": 404, "message": "not found", "data": None, "reason": "NOT_FOUND"}
            return httpx.Response(404, json=body, request=request)
        if not (request.method == "POST" and request.url.path.startswith(self.only or "/")) and self.only:
            return await self.inner.handle_async_request(request)
        if self.held:
            await self.held.wait()
        if self.cut:
            self.cut -= 1
            raise httpx.ConnectError("cut", request=request)
        response = await self.inner.handle_async_request(request)
        if self.fail:
            self.fail -= 1
            await response.aread()
            body = {"code": 503, "message": "not now", "data": None, "reason": "UNAVAILABLE"}
            return httpx.Response(503, json=body, request=request)
        if self.lose:
            self.lose -= 1
            await response.aread()
            raise httpx.ReadTimeout("lost", request=request)
        return response


class Node:
    """A runtime-agent that runs nothing: it remembers what it was told."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.calls: list[tuple[str, str]] = []
        self.broken: set[str] = set()
        self.lost: set[str] = set()
        """Apps whose stopped container is gone."""
        self.looping: set[str] = set()
        """Apps that keep ending."""
        self.output = "hello from the container, tail {tail}\n"
        """What every container printed."""
        self.app = FastAPI()
        self.app.add_api_route("/agent/apps/status", self._status)
        self.app.add_api_route("/agent/apps/logs", self._logs)
        self.app.add_api_route("/agent/apps/usage", self._usage)
        self.app.add_api_route("/agent/apps/{verb}", self._act, methods=["POST"])

    async def _act(self, verb: str, request: Request) -> Any:
        body = await request.json()
        app_id = str(body["appId"])
        self.calls.append((verb, app_id))
        if verb in self.broken:
            return JSONResponse({"detail": "broken"}, status_code=500)
        if verb == "start" and app_id in self.lost:
            return JSONResponse({"detail": "nothing kept", "reason": "RELEASE_NOT_KEPT"}, status_code=404)
        if verb == "start":
            self.running.add(app_id)
            return {"appId": app_id, "containerName": "c", "status": "DEPLOYED", "previewUrl": "http://node"}
        self.running.discard(app_id)
        words = {"stop": "STOPPED", "delete": "DELETED"}
        return {"appId": app_id, "status": words[verb], "images": [], "mongo": None}

    async def _status(self, appId: str) -> Any:  # noqa: N803
        up = appId in self.running
        status = {"appId": appId, "containerName": "c", "exists": up, "running": up, "image": "i", "port": 1}
        if appId in self.looping:
            ended = {"lastExitCode": 3, "lastExitAt": "2026-01-31T09:00:00.123456789Z"}
            return {**status, "running": False, "crashLooping": True, "restartCount": 7, **ended}
        return status

    async def _usage(self, window: str) -> Any:
        points = [
            {"at": "2026-01-31T09:00:00Z"},
            {"at": "2026-01-31T09:01:00Z", "requests": 12, "errors": 3, "cpuPercent": 4.5},
        ]
        return {"window": window, "stepSeconds": 60, "points": points}

    async def _logs(self, tail: int = 200) -> Any:
        return PlainTextResponse(self.output.format(tail=tail))


class Repos:
    """A repository host that can be away."""

    def __init__(self) -> None:
        self.made: set[str] = set()
        self.away = False

    async def ensure(self, repo: str) -> None:
        self._check()
        self.made.add(repo)

    async def grant(self, repo: str, account: str | None) -> None:
        self._check()

    async def webhook(self, repo: str) -> None:
        self._check()

    async def repositories(self, owner: str) -> list[str]:
        self._check()
        return sorted(repo for repo in self.made if repo.startswith(f"{owner}/"))

    async def close(self) -> None:
        pass

    async def delete(self, repo: str) -> None:
        self._check()
        self.made.discard(repo)

    def _check(self) -> None:
        if self.away:
            raise ConnectionRefusedError("away")


class Person:
    """A signed-in user's calls. ``call`` answers ``data`` or the error's body as :class:`Refused`."""

    def __init__(self, http: httpx.AsyncClient, user_id: int, token: str) -> None:
        self.http, self.id, self.token = http, user_id, token

    async def raw(self, method: str, path: str, **kw: Any) -> httpx.Response:
        headers = {"Authorization": self.token, **kw.pop("headers", {})}
        return await self.http.request(method, BASE + path, headers=headers, **kw)

    async def call(self, method: str, path: str, **kw: Any) -> Any:
        answer = (await self.raw(method, path, **kw)).json()
        if answer["code"] != 200:
            raise Refused(answer)
        return answer["data"]

    async def refused(self, method: str, path: str, **kw: Any) -> str:
        """``409 APP_DEPLOYING`` and the like; fails when the call succeeds."""
        try:
            done = await self.call(method, path, **kw)
        except Refused as e:
            return str(e)
        raise AssertionError(f"not refused: {done}")

    async def app(self, name: str | None = None) -> int:
        return int((await self.call("POST", "/app/create", json={"appName": name}))["id"])

    async def deploy(self, app_id: int, **kw: Any) -> Any:
        return await self.call("POST", "/deploy/job/create", params={"userId": self.id, "appId": app_id}, **kw)

    async def status(self, app_id: int) -> int:
        return int((await self.call("GET", "/app/info", params={"appId": app_id}))["appStatus"])


class Refused(Exception):
    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        super().__init__(f"{answer['code']} {answer['reason']}")


class Platform:
    def __init__(
        self,
        folder: Path,
        database_url: str | None = None,
        *,
        repos_apart: bool = False,
        deploy: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        """``settings`` are the API's, ``deploy`` the Deploy service's."""
        self.repos_apart, self._deploy_settings = repos_apart, deploy or {}
        self.node, self.repos, self.gitea = Node(), Repos(), ScriptedGitea()
        key_file = folder / "seal.key"
        api_url = database_url or migrated(api_main.upgrade, folder / "api.db")
        self.settings = ApiSettings(
            datasource_url=api_url,
            jwt_secret=SecretStr("j" * 40),
            deploy_secret=SecretStr(SECRET),
            deploy_admin_token=SecretStr(ADMIN),
            git_internal_token=SecretStr(GIT),
            env_key_file=key_file,
            acr_registry="registry.test:5000",
            sweep_seconds=0.05,
            git_ssh_host="git.test",
            deploy_base_url="http://deploy.test",
            **settings,
        )
        self._deploy_url = migrated(deploy_main.upgrade, folder / "deploy.db")
        self._key_file = key_file

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Platform]:
        Sealer.from_file(self._key_file, create=True)
        deploy_settings = DeploySettings(
            datasource_url=self._deploy_url,
            proxy_auth_secret=SecretStr(SECRET),
            admin_token=SecretStr(ADMIN),
            node_registry_secret=SecretStr(NODE),
            agent_token=SecretStr("agent"),
            env_key_file=self._key_file,
            retry_backoff_seconds=0,
            **self._deploy_settings,
        )
        agent = httpx.ASGITransport(self.node.app)
        self.deploy = deploy_main.build(deploy_settings, agent_http=lambda: agent)
        self.wire = Wire(httpx.ASGITransport(self.deploy))
        self.api = self.make_api(self.wire)
        async with (
            self.deploy.router.lifespan_context(self.deploy),
            self.api.router.lifespan_context(self.api),
            self.client(self.api) as self.http,
            self.client(self.deploy) as self.inside,
        ):
            await self.heartbeat()
            yield self

    def make_api(self, wire: httpx.AsyncBaseTransport | None) -> FastAPI:
        host = None if self.settings.gitea_enabled or self.repos_apart else self.repos
        app = api_main.build(self.settings, repo_host=host, deploy_http=wire, gitea_http=self.gitea.transport)
        app.state.core.accounts.passwords = Passwords(passes=1, kib=64)
        return app

    @staticmethod
    def client(app: FastAPI) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://deploy.test", timeout=60)

    @property
    def core(self) -> Any:
        return self.api.state.core

    async def heartbeat(self, gateway: str = "http://gw", apps: str | None = None) -> None:
        beat = {
            "nodeName": "n1",
            "agentBaseUrl": "http://agent",
            "gatewayBaseUrl": gateway,
            "diskFreePct": 90,
            "crashLooping": sorted(int(app_id) for app_id in self.node.looping),
            "appsUrl": apps,
        }
        done = await self.inside.post("/internal/runtime-nodes/heartbeat", json=beat, headers={"X-RT-Node-Token": NODE})
        assert done.status_code == 200, done.text

    async def told_of_domains(self, *reports: dict[str, Any]) -> list[tuple[str, int]]:
        """The node tells how its apps' domains are; answers which it shall serve."""
        said = {"nodeName": "n1", "reports": list(reports)}
        done = await self.inside.post("/internal/runtime-nodes/domains", json=said, headers={"X-RT-Node-Token": NODE})
        assert done.status_code == 200, done.text
        return [(route["name"], route["appId"]) for route in done.json()["data"]]

    async def person(self, name: str) -> Person:
        body = {"userName": name, "password": PASSWORD}
        made = (await self.http.post(f"{BASE}/auth/register", json=body)).json()
        assert made["code"] == 200, made
        return await self.sign_in(name)

    async def admin(self, name: str = "root") -> Person:
        await api_main.ensure_admin(self.api, name, PASSWORD)
        return await self.sign_in(name)

    async def sign_in(self, name: str, password: str = PASSWORD) -> Person:
        answer = await self.http.post(f"{BASE}/auth/login", json={"userName": name, "password": password})
        assert answer.status_code == 200, answer.text
        return Person(self.http, answer.json()["data"]["id"], answer.headers["Authorization"])

    async def claim(self) -> dict[str, Any]:
        """A runner takes the next job."""
        answer = await self.inside.post("/deploy/jobs/claim", json={"runnerId": "r1", "leaseSeconds": 60, "waitSeconds": 5})
        assert answer.json()["data"], answer.text
        return answer.json()["data"]

    async def report(self, job: dict[str, Any], status: str = "SUCCEEDED", **more: Any) -> None:
        """The runner's final word."""
        if status == "SUCCEEDED":
            self.node.running.add(str(job["payload"]["appId"]))
            more.setdefault("result", {"image": "registry.test:5000/x", "digest": "sha256:" + "a" * 64, "containerPort": 3000})
        body = {"runnerId": "r1", "status": status, "leaseToken": job["leaseToken"], **more}
        answer = await self.inside.post(f"/deploy/jobs/{job['id']}/report", json=body)
        assert answer.status_code == 200, answer.text

    async def finish(self, status: str = "SUCCEEDED", **more: Any) -> dict[str, Any]:
        """A runner takes the next job and ends it."""
        job = await self.claim()
        await self.report(job, status, **more)
        return job

    async def ready(self, person: Person, name: str | None = None) -> int:
        """An app that serves."""
        app_id = await person.app(name)
        await person.deploy(app_id)
        await self.finish()
        assert await person.status(app_id) == 3
        return app_id
