"""Steerable agents of several nodes, told apart by host name, behind one transport."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from funai.deploy import main
from funai.deploy.apps.service import RemoteImages
from tests.service.deploy.queue.kit import Deploy, settings


@dataclass
class Agents(httpx.AsyncBaseTransport):
    """What runs where, and what each call is answered; ``calls`` are (host, verb, userId, appId)."""

    running: set[tuple[str, int]] = field(default_factory=set)
    kept: set[tuple[str, int]] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    busy: dict[str, int] = field(default_factory=dict)
    older: set[str] = field(default_factory=set)
    """They speak the contract without its additions."""
    mongo: str | None = None
    calls: list[tuple[str, str, str, str]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    generations: list[tuple[str, int | None]] = field(default_factory=list)
    """What each stop, start and delete said it was about."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host, verb = request.url.host, request.url.path.rpartition("/")[2]
        if host in self.dead:
            raise httpx.ConnectError("connection refused", request=request)
        if host in self.hanging:
            raise httpx.ReadTimeout("timed out", request=request)
        if verb == "orphans" or "/databases/" in request.url.path or "/mongo/" in request.url.path:
            return httpx.Response(404, json={"detail": "Not Found"})  # they have no databases
        given: dict[str, Any] = json.loads(request.content) if request.content else dict(request.url.params)
        self.calls.append((host, verb, str(given["userId"]), str(given["appId"])))
        if verb in ("stop", "start", "delete"):
            self.generations.append((verb, given.get("generation")))
        self.tokens.add(request.headers.get("x-runtime-token", ""))
        if self.busy.get(host, 0) > 0:
            self.busy[host] -= 1
            return httpx.Response(409, json={"detail": "that app is being deployed", "reason": "DEPLOY_IN_PROGRESS"})
        if host in self.older and verb in ("start", "logs", "usage"):
            return httpx.Response(404, json={"detail": "Not Found"})
        return self._answer(verb, host, int(given["appId"]), str(given["userId"]))

    def _answer(self, verb: str, host: str, app_id: int, user_id: str) -> httpx.Response:
        here, app = (host, app_id), str(app_id)
        name = f"rt-u-{user_id}-{app_id}"
        match verb:
            case "stop":
                if here in self.running:
                    self.kept.add(here)
                self.running.discard(here)
                return httpx.Response(200, json={"appId": app, "status": "STOPPED"})
            case "start":
                if here not in self.kept | self.running:
                    return httpx.Response(404, json={"detail": "nothing kept", "reason": "RELEASE_NOT_KEPT"})
                self.running.add(here)
                body = {"appId": app, "containerName": name, "status": "DEPLOYED", "previewUrl": f"http://{host}/"}
                return httpx.Response(200, json=body)
            case "delete":
                self.running.discard(here)
                self.kept.discard(here)
                body = {"appId": app, "status": "DELETED", "images": ["one", "two"], "mongo": self.mongo}
                return httpx.Response(200, json=body)
            case "status":
                exists = here in self.running | self.kept
                body = {"appId": app, "containerName": name, "exists": exists, "running": here in self.running}
                return httpx.Response(200, json={**body, "image": "x:1" if exists else None, "port": 3000})
            case "logs":
                return httpx.Response(200, text=f"{host} says hello\n")
        return httpx.Response(404, json={"detail": "not found"})

    def verbs(self, host: str) -> list[str]:
        return [verb for at, verb, _, _ in self.calls if at == host]


@asynccontextmanager
async def deploying(url: str, agents: Agents, images: RemoteImages | None = None, **more: Any) -> AsyncIterator[Deploy]:
    """The whole Deploy service in this process, with these agents."""
    app = main.build(settings(url, **more), agent_http=lambda: agents, images=images)
    deploy = Deploy(app)
    async with main.running(deploy.core):
        yield deploy
        await deploy.close()
