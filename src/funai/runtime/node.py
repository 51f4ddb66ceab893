"""This node's containers in the agent's terms: look at an app, reach it, keep it from two hands at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from funai.contracts.errors import Conflict
from funai.contracts.routes import Route, RouteTable
from funai.runtime import state
from funai.runtime.engine.contract import Container, Engine, EngineError, EngineInfo
from funai.runtime.patience import patiently
from funai.runtime.settings import Reach, RuntimeSettings
from funai.runtime.state import AppView, Desired, Names

TAIL_LINES = 40
TAIL_BYTES = 16 * 1024


class Busy:
    """One hand an app: a rollout or start holds it; stop and delete may interrupt a rollout."""

    def __init__(self) -> None:
        self._holders: dict[int, asyncio.Task[object]] = {}

    def holds(self, app_id: int) -> bool:
        return app_id in self._holders

    @asynccontextmanager
    async def claim(self, app_id: int) -> AsyncIterator[None]:
        """Raises Conflict ``DEPLOY_IN_PROGRESS`` when another task has the app in hand."""
        if app_id in self._holders:
            raise Conflict("DEPLOY_IN_PROGRESS")
        task = asyncio.current_task()
        assert task is not None
        self._holders[app_id] = task
        try:
            yield
        finally:
            del self._holders[app_id]

    @asynccontextmanager
    async def take_over(self, app_id: int) -> AsyncIterator[None]:
        """Cancel whoever has the app in hand, wait until it has cleaned up, then hold it."""
        while holder := self._holders.get(app_id):
            holder.cancel()
            await asyncio.wait({holder})
        async with self.claim(app_id):
            yield


@dataclass(frozen=True, slots=True)
class Endpoint:
    host: str
    port: int


class Node:
    """Shared by everything that works on this node's apps. ``info`` is what the engine said when the agent started."""

    def __init__(self, settings: RuntimeSettings, engine: Engine, routes: RouteTable, info: EngineInfo) -> None:
        self.settings, self.engine, self.routes, self.info = settings, engine, routes, info
        self.busy = Busy()

    @property
    def publish(self) -> bool:
        reach = self.settings.reach
        return reach is Reach.PUBLISHED or (reach is Reach.AUTO and self.info.rootless)

    def names(self, user_id: int, app_id: int) -> Names:
        return Names(user_id, app_id, self.settings.instance)

    async def look(self, app_id: int, *, patience: float = 0) -> AppView:
        """The app's containers now. ``patience`` seconds waits for an engine that is restarting."""
        labels = {state.INSTANCE: self.settings.instance, state.APP_ID: str(app_id)}
        return state.view(app_id, await patiently(lambda: self.engine.containers(labels), patience))

    async def everything(self) -> dict[int, AppView]:
        return state.views(await self.engine.containers({state.INSTANCE: self.settings.instance}))

    def endpoint(self, container: Container) -> Endpoint | None:
        """Where the gateway finds it; None while it has no address (not running)."""
        if self.publish:
            return Endpoint("127.0.0.1", container.published) if container.published else None
        port = state.number(container, state.PORT)
        return Endpoint(container.address, port) if container.address and port else None

    def desired_route(self, app: AppView) -> Route | None:
        """The route the app should have, given only its containers."""
        mend = state.repair(app, self.settings.instance)
        if mend.desired is Desired.STOPPED:
            return state.stopped_route(app.app_id)
        if mend.desired is Desired.GONE or mend.keep is None:
            return None
        end = self.endpoint(mend.keep)
        return state.route_to(mend.keep, end.host, end.port) if end else None

    async def tail(self, id: str, lines: int = TAIL_LINES) -> list[str]:
        """The container's last lines; empty when the engine can't give them (that must not hide the real failure)."""
        try:
            pieces = [piece async for piece in self.engine.logs(id, tail=lines, follow=False)]
        except EngineError:
            return []
        text = b"".join(pieces)[-TAIL_BYTES:].decode("utf-8", "replace")
        return [line.rstrip() for line in text.splitlines()][-lines:]
