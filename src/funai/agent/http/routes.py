"""The agent's HTTP API (contract §6): plain objects, ``X-Runtime-Token``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.responses import StreamingResponse

from funai.agent.apps import Apps
from funai.agent.compat.runners import OlderRunners
from funai.agent.metering.meter import Meter
from funai.agent.network.look import Look
from funai.agent.node import Node
from funai.agent.rollout.rollout import Rollouts
from funai.agent.workload.contract import Gone, WorkloadError
from funai.base.aio import Stopped, unless
from funai.base.http.app import add_routes
from funai.base.http.guards import SecretGuard
from funai.contracts.agent import (
    AgentApp,
    AgentDeleted,
    AgentDeploy,
    AgentDeployed,
    AgentStatus,
    AgentStopped,
)
from funai.contracts.apps.usage import AppUsage
from funai.contracts.errors import Conflict, NotFound, Unavailable
from funai.contracts.reasons import Reason
from funai.contracts.states import Window
from funai.contracts.wire import MAX_ID

T = TypeVar("T")
MAX_TAIL = 10_000
Id = Annotated[int, Query(ge=1, le=MAX_ID)]


@dataclass(frozen=True)
class Agent:
    """What the routes call."""

    node: Node
    rollouts: Rollouts
    apps: Apps
    look: Look
    older: OlderRunners
    meter: Meter


def install(app: FastAPI, agent: Agent, guard: SecretGuard) -> None:
    router = APIRouter(prefix="/agent", dependencies=[Depends(guard)])
    _app_calls(router, agent)
    _log_call(router, agent)

    @app.get("/internal")
    @app.get("/internal/health")
    async def health() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        problem = agent.look.problem
        return {"ok": True, **({"problems": [{"zh": problem.zh, "en": problem.en}]} if problem else {})}

    add_routes(app, router)


def _app_calls(router: APIRouter, agent: Agent) -> None:
    @router.post("/apps/deploy", response_model_exclude_none=True)
    async def deploy(body: AgentDeploy, request: Request) -> AgentDeployed:  # pyright: ignore[reportUnusedFunction]
        if "container_port" not in body.model_fields_set:
            body = body.model_copy(update={"container_port": agent.node.settings.container_port})
        if body.generation is None:
            return await _answered(agent.older.deploy(body))
        done = await while_connected(request, agent.rollouts.deploy(body))
        agent.node.changed.set()
        return done

    @router.post("/apps/start", response_model_exclude_none=True)
    async def start(body: AgentApp, request: Request) -> AgentDeployed:  # pyright: ignore[reportUnusedFunction]
        done = await while_connected(request, agent.apps.start(body))
        agent.node.changed.set()
        return done

    @router.post("/apps/stop")
    async def stop(body: AgentApp) -> AgentStopped:  # pyright: ignore[reportUnusedFunction]
        done = await _answered(agent.apps.stop(body))
        agent.node.changed.set()
        return done

    @router.post("/apps/delete")
    async def delete(body: AgentApp) -> AgentDeleted:  # pyright: ignore[reportUnusedFunction]
        gone = await _answered(agent.apps.delete(body))
        agent.meter.forget(int(body.app_id))
        agent.node.changed.set()
        return gone

    @router.get("/apps/status")
    async def status(userId: Id, appId: Id) -> AgentStatus:  # noqa: N803  # pyright: ignore[reportUnusedFunction]
        return await _answered(agent.apps.status(userId, appId))

    @router.get("/apps/usage")
    async def usage(  # pyright: ignore[reportUnusedFunction]
        userId: Id,  # noqa: N803, ARG001
        appId: Id,  # noqa: N803
        window: Window = Window.HOUR,
    ) -> AppUsage:
        return agent.meter.usage(appId, window)


def _log_call(router: APIRouter, agent: Agent) -> None:
    @router.get("/apps/logs", response_class=StreamingResponse)
    async def logs(  # pyright: ignore[reportUnusedFunction]
        userId: Id,  # noqa: N803, ARG001
        appId: Id,  # noqa: N803
        tail: Annotated[int | None, Query(ge=0, le=MAX_TAIL)] = None,
        follow: bool = False,
    ) -> StreamingResponse:
        """The container's output as it is: the live one, else the stopped one, else the one being rolled out."""
        view = await _answered(agent.node.look(appId))
        instance = view.kept or next(iter(view.candidates), None)
        if instance is None:
            raise NotFound(Reason.APP_NOT_RUNNING)
        pieces = agent.node.workloads.logs(instance, tail=MAX_TAIL if tail is None else tail, follow=follow)
        return StreamingResponse(_until_broken(pieces), media_type="text/plain; charset=utf-8")


async def _until_broken(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A log whose container or engine goes away simply ends."""
    try:
        async for piece in pieces:
            yield piece
    except WorkloadError:
        return


async def _answered(work: Awaitable[T]) -> T:
    """The engine's failures in the API's words."""
    try:
        return await work
    except Gone as e:
        raise NotFound(Reason.APP_NOT_RUNNING) from e
    except WorkloadError as e:
        raise Unavailable(Reason.ENGINE_UNREACHABLE, detail=str(e)[:400]) from e


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Do ``work``, and cancel it when the caller hangs up: a runner that was killed wants nothing rolled out."""
    listening = asyncio.create_task(_hung_up(request))
    try:
        return await _answered(unless(listening, work))
    except Stopped:
        raise Conflict(Reason.ROLLOUT_INTERRUPTED) from None
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
