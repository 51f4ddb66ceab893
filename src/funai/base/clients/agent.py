"""The runtime-agent as a runner and Deploy see it. Its answers are plain objects."""

from __future__ import annotations

from typing import Any

import httpx

from funai.base.clients.transport import Transport
from funai.contracts.agent import AgentDeleted, AgentDeploy, AgentDeployed, AgentStatus, AgentStopped


class AgentClient:
    """Authenticates with ``X-Runtime-Token``. ``timeout`` seconds is for quick calls; deploy has its own."""

    def __init__(self, base_url: str, token: str, *, timeout: float = 10, http: httpx.AsyncBaseTransport | None = None) -> None:
        self.transport = Transport("runtime-agent", base_url, {"X-Runtime-Token": token}, timeout=timeout, http=http)

    async def deploy(self, deploy: AgentDeploy, *, timeout: float) -> AgentDeployed:
        """Roll out. Raises AgentRefused (``detail`` may be a DeployFailure object), Unreachable."""
        return AgentDeployed.model_validate(
            await self.transport.plain("POST", "/agent/apps/deploy", json=deploy.to_wire(), timeout=timeout)
        )

    async def stop(self, user_id: int, app_id: int, generation: int | None = None) -> AgentStopped:
        return AgentStopped.model_validate(
            await self.transport.plain("POST", "/agent/apps/stop", json=_app(user_id, app_id, generation), timeout=60)
        )

    async def start(self, user_id: int, app_id: int, generation: int | None = None) -> AgentDeployed:
        """(+) Start a stopped app's kept release again."""
        return AgentDeployed.model_validate(
            await self.transport.plain("POST", "/agent/apps/start", json=_app(user_id, app_id, generation), timeout=120)
        )

    async def delete(self, user_id: int, app_id: int, generation: int | None = None) -> AgentDeleted:
        return AgentDeleted.model_validate(
            await self.transport.plain("POST", "/agent/apps/delete", json=_app(user_id, app_id, generation), timeout=60)
        )

    async def status(self, user_id: int, app_id: int) -> AgentStatus:
        params = {"userId": user_id, "appId": app_id}
        return AgentStatus.model_validate(await self.transport.plain("GET", "/agent/apps/status", params=params))

    async def healthy(self) -> bool:
        body: Any = await self.transport.plain("GET", "/internal/health")
        return bool(body.get("ok"))

    async def close(self) -> None:
        await self.transport.close()


def _app(user_id: int, app_id: int, generation: int | None) -> dict[str, Any]:
    named: dict[str, Any] = {"userId": str(user_id), "appId": str(app_id)}
    return named if generation is None else {**named, "generation": generation}
