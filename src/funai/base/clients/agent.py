"""The runtime-agent as a runner and Deploy see it. Its answers are plain objects."""

from __future__ import annotations

from typing import TypeVar

import httpx
from pydantic import BaseModel

from funai.base.clients.transport import Transport
from funai.contracts.agent import AgentDeleted, AgentDeploy, AgentDeployed, AgentStatus, AgentStopped
from funai.contracts.apps.databases import DatabaseCall, DatabaseOp, FindOrphans, MongoCall, MongoVerb, Orphans
from funai.contracts.apps.usage import AppUsage
from funai.contracts.states import Window

T = TypeVar("T", bound=BaseModel)
LONG_SECONDS = 6 * 3600
"""The longest that a dump or restore may take."""


class AgentClient:
    """Raises CalleeFailed for an answer that can't be read, as for one that doesn't come.

    Authenticates with ``X-Runtime-Token``. ``timeout`` seconds is for quick calls; deploy has its own."""

    def __init__(self, base_url: str, token: str, *, timeout: float = 10, http: httpx.AsyncBaseTransport | None = None) -> None:
        self.transport = Transport("runtime-agent", base_url, {"X-Runtime-Token": token}, timeout=timeout, http=http)

    async def deploy(self, deploy: AgentDeploy, *, timeout: float) -> AgentDeployed:
        """Roll out. Raises AgentRefused (``detail`` may be a DeployFailure object), Unreachable."""
        return self.transport.read(
            AgentDeployed, await self.transport.plain("POST", "/agent/apps/deploy", json=deploy.to_wire(), timeout=timeout)
        )

    async def stop(self, user_id: int, app_id: int, generation: int | None = None) -> AgentStopped:
        """``generation``: the newest that this stop is about; an agent refuses it once it has a newer one."""
        return self.transport.read(
            AgentStopped,
            await self.transport.plain("POST", "/agent/apps/stop", json=_app(user_id, app_id, generation), timeout=60),
        )

    async def start(self, user_id: int, app_id: int, generation: int | None = None) -> AgentDeployed:
        """(+) Start a stopped app's kept release again."""
        return self.transport.read(
            AgentDeployed,
            await self.transport.plain("POST", "/agent/apps/start", json=_app(user_id, app_id, generation), timeout=120),
        )

    async def delete(self, user_id: int, app_id: int, generation: int | None = None) -> AgentDeleted:
        return self.transport.read(
            AgentDeleted,
            await self.transport.plain("POST", "/agent/apps/delete", json=_app(user_id, app_id, generation), timeout=60),
        )

    async def status(self, user_id: int, app_id: int) -> AgentStatus:
        params = {"userId": user_id, "appId": app_id}
        return self.transport.read(AgentStatus, await self.transport.plain("GET", "/agent/apps/status", params=params))

    async def usage(self, user_id: int, app_id: int, window: Window) -> AppUsage:
        """(+) What the app used of its node."""
        params = {"userId": user_id, "appId": app_id, "window": window.value}
        return self.transport.read(AppUsage, await self.transport.plain("GET", "/agent/apps/usage", params=params))

    async def database(self, op: DatabaseOp, call: DatabaseCall, language: str) -> dict[str, object]:
        """(+) About an app's databases. A dump or restore takes as long as it takes."""
        patience = LONG_SECONDS if op in (DatabaseOp.BACKUP, DatabaseOp.RESTORE) else 60
        return self.transport.record(
            await self.transport.plain(
                "POST", f"/agent/databases/{op}", json=call.to_wire(), timeout=patience, headers={"Accept-Language": language}
            )
        )

    async def mongo(self, verb: MongoVerb, call: MongoCall, language: str) -> dict[str, object]:
        """A call of the Mongo explorer."""
        path, spoken = f"/api/fun-ai/deploy/mongo/{verb}", {"Accept-Language": language}
        whose = {"userId": call.user_id, "appId": call.app_id}
        if verb.reads_by_get:
            params = {**call.body, **whose}
            return self.transport.record(await self.transport.plain("GET", path, params=params, timeout=15, headers=spoken))
        body = {**call.body, **whose}
        return self.transport.record(
            await self.transport.plain("POST", path, params=whose, json=body, timeout=15, headers=spoken)
        )

    async def orphans(self, asked: FindOrphans) -> Orphans:
        """(+) What is left of apps that are no more."""
        return self.transport.read(
            Orphans, await self.transport.plain("POST", "/agent/orphans", json=asked.to_wire(), timeout=120)
        )

    async def healthy(self) -> bool:
        body: object = await self.transport.plain("GET", "/internal/health")
        return isinstance(body, dict) and bool(body.get("ok"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    async def close(self) -> None:
        await self.transport.close()


def _app(user_id: int, app_id: int, generation: int | None = None) -> dict[str, str | int]:
    app: dict[str, str | int] = {"userId": str(user_id), "appId": str(app_id)}
    return app if generation is None else {**app, "generation": generation}
