"""The runtime-agent as a runner and Deploy see it. Its answers are plain objects."""

from __future__ import annotations

from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from funai.base.clients.transport import Transport
from funai.contracts.agent import AgentDeleted, AgentDeploy, AgentDeployed, AgentStatus, AgentStopped
from funai.contracts.errors import CalleeFailed
from funai.contracts.usage import AppUsage, Window

T = TypeVar("T", bound=BaseModel)


class AgentClient:
    """Raises CalleeFailed for an answer that can't be read, as for one that doesn't come.

    Authenticates with ``X-Runtime-Token``. ``timeout`` seconds is for quick calls; deploy has its own."""

    def __init__(self, base_url: str, token: str, *, timeout: float = 10, http: httpx.AsyncBaseTransport | None = None) -> None:
        self.transport = Transport("runtime-agent", base_url, {"X-Runtime-Token": token}, timeout=timeout, http=http)

    async def deploy(self, deploy: AgentDeploy, *, timeout: float) -> AgentDeployed:
        """Roll out. Raises AgentRefused (``detail`` may be a DeployFailure object), Unreachable."""
        return _read(
            AgentDeployed, await self.transport.plain("POST", "/agent/apps/deploy", json=deploy.to_wire(), timeout=timeout)
        )

    async def stop(self, user_id: int, app_id: int, generation: int | None = None) -> AgentStopped:
        """``generation``: the newest that this stop is about; an agent refuses it once it has a newer one."""
        return _read(
            AgentStopped,
            await self.transport.plain("POST", "/agent/apps/stop", json=_app(user_id, app_id, generation), timeout=60),
        )

    async def start(self, user_id: int, app_id: int, generation: int | None = None) -> AgentDeployed:
        """(+) Start a stopped app's kept release again."""
        return _read(
            AgentDeployed,
            await self.transport.plain("POST", "/agent/apps/start", json=_app(user_id, app_id, generation), timeout=120),
        )

    async def delete(self, user_id: int, app_id: int, generation: int | None = None) -> AgentDeleted:
        return _read(
            AgentDeleted,
            await self.transport.plain("POST", "/agent/apps/delete", json=_app(user_id, app_id, generation), timeout=60),
        )

    async def status(self, user_id: int, app_id: int) -> AgentStatus:
        params = {"userId": user_id, "appId": app_id}
        return _read(AgentStatus, await self.transport.plain("GET", "/agent/apps/status", params=params))

    async def usage(self, user_id: int, app_id: int, window: Window) -> AppUsage:
        """(+) What the app used of its node."""
        params = {"userId": user_id, "appId": app_id, "window": window.value}
        return _read(AppUsage, await self.transport.plain("GET", "/agent/apps/usage", params=params))

    async def healthy(self) -> bool:
        body: Any = await self.transport.plain("GET", "/internal/health")
        return isinstance(body, dict) and bool(body.get("ok"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]

    async def close(self) -> None:
        await self.transport.close()


def _app(user_id: int, app_id: int, generation: int | None = None) -> dict[str, str | int]:
    app: dict[str, str | int] = {"userId": str(user_id), "appId": str(app_id)}
    return app if generation is None else {**app, "generation": generation}


def _read(model: type[T], data: Any) -> T:
    """An answer as a value. Raises CalleeFailed."""
    try:
        return model.model_validate(data)
    except ValidationError as e:
        where = ".".join(map(str, e.errors()[0]["loc"])) or type(data).__name__
        raise CalleeFailed(service="runtime-agent", detail=f"{model.__name__}: {where}") from e
