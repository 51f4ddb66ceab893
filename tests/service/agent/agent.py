"""An agent in this process on the dummy engine and a route table of the test's own, called through its HTTP door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI

from funai.agent.engine.dummy import DummyEngine, Script
from funai.agent.main import AgentParts, compose
from funai.agent.settings import Reach, RuntimeSettings
from funai.base.aio import bind, serving
from funai.contracts.routes import GatewayError, Route, RouteState

TOKEN = "test-token-1"
WEB, WEB2, EXITS, SILENT, BROKEN, HUNGRY, NOBODY = (
    f"localhost/{n}:1" for n in ("web", "web2", "exits", "silent", "broken", "hungry", "nobody")
)
SCRIPTS = {
    WEB: Script(),
    WEB2: Script(),
    SILENT: Script(listens=False),
    BROKEN: Script(status=503),
    EXITS: Script(listens=False, exits_after=0.02, exit_code=3, output=b"one\ntwo\n"),
    NOBODY: Script(unusable="unable to find user nosuchuser:\nno matching entries in passwd file"),
    HUNGRY: Script(listens=False, exits_after=0.02, exit_code=137, oom=True),
}


@dataclass
class Table:
    """A route table in memory. ``away``: the proxy can't be reached. ``stuck``: it takes routes and serves the old ones.
    ``slow``: seconds that an app takes to answer.
    """

    routes: dict[int, Route] = field(default_factory=dict[int, Route])
    told: list[Route] = field(default_factory=list[Route])
    away: bool = False
    stuck: bool = False
    slow: float = 0
    in_flight: int | None = 0

    def _reach(self) -> None:
        if self.away:
            raise GatewayError("the proxy is away")

    async def put(self, route: Route) -> None:
        self._reach()
        self.told.append(route)
        self.routes[route.app_id] = route

    async def remove(self, app_id: int) -> None:
        self._reach()
        self.routes.pop(app_id, None)

    async def replace_all(self, routes: Sequence[Route]) -> None:
        self._reach()
        self.routes = {r.app_id: r for r in routes}

    async def serving_generation(self, app_id: int, path: str, *, timeout: float) -> tuple[int, int]:
        self._reach()
        if timeout < self.slow:
            raise GatewayError(f"no answer within {timeout} s")
        route = self.routes.get(app_id)
        if route is None or route.state is not RouteState.SERVING or self.stuck:
            return 503, 0
        return 200, route.generation

    async def connections(self, host: str, port: int) -> int | None:
        return self.in_flight

    def state(self, app_id: int) -> RouteState | None:
        route = self.routes.get(app_id)
        return route.state if route else None

    def generation(self, app_id: int) -> int:
        route = self.routes.get(app_id)
        return route.generation if route else 0


@dataclass
class World:
    engine: DummyEngine
    table: Table
    parts: AgentParts
    http: httpx.AsyncClient

    @property
    def app(self) -> FastAPI:
        return self.parts.app

    async def post(self, verb: str, **body: Any) -> httpx.Response:
        return await self.http.post(f"/agent/apps/{verb}", json={"userId": 1, "appId": 7, **body})

    async def deploy(self, generation: int | None = None, image: str = WEB, **more: Any) -> httpx.Response:
        seconds = 1 if image in (SILENT, BROKEN) else 20  # of those that get healthy none waits for it
        body = {"image": image, "health": {"timeoutSeconds": seconds}, **more}
        return await self.post("deploy", **body, **({"generation": generation} if generation is not None else {}))

    async def status(self) -> dict[str, Any]:
        return (await self.http.get("/agent/apps/status", params={"userId": 1, "appId": 7})).json()

    async def names(self) -> list[str]:
        return sorted(c.name for c in await self.engine.containers({}))


def settings(**more: Any) -> RuntimeSettings:
    values: dict[str, Any] = {
        "token": TOKEN,
        "node_gateway_base_url": "http://gw:8000",
        "drain_seconds": 0.1,
        "stop_grace_seconds": 0,
        "verify_seconds": 0.3,
        "engine_patience_seconds": 2,
        "firewall": False,
        "state_dir": "",
        "health_interval_seconds": 0.02,
        **more,
    }
    return RuntimeSettings(**values)


@asynccontextmanager
async def world(engine: DummyEngine | None = None, table: Table | None = None, **more: Any) -> AsyncIterator[World]:
    """A listening agent. Handing in the engine (and table) of an earlier one is a restart of the agent."""
    own = engine is None
    engine = engine or DummyEngine(local=SCRIPTS)
    more.setdefault("reach", Reach.PUBLISHED)  # what answers for the dummy's containers
    parts = await compose(settings(**more), engine, table or Table())
    sock = bind("127.0.0.1", 0)
    try:
        async with serving(parts.app, sock, grace=1) as port:
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(
                base_url=base, headers={"X-Runtime-Token": TOKEN, "Accept-Language": "en"}, trust_env=False, timeout=20
            ) as http:
                found = parts.node.routes
                assert isinstance(found, Table)
                yield World(engine, found, parts, http)
    finally:
        await parts.drainer.close()
        await parts.databases.close()
        if own:
            await engine.close()
        await asyncio.sleep(0)
