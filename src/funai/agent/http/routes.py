"""The agent's HTTP API (contract §6): plain objects, ``X-Runtime-Token``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Annotated, TypeVar

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


async def allowed(request: Request) -> None:
    """X-Runtime-Token."""
    guard: SecretGuard = request.app.state.guard
    await guard(request)


def agent_of(request: Request) -> Agent:
    agent: Agent = request.app.state.agent
    return agent


Parts = Annotated[Agent, Depends(agent_of)]
router = APIRouter(prefix="/agent", dependencies=[Depends(allowed)])
health = APIRouter()


@health.get("/internal")
@health.get("/internal/health")
async def own_health(agent: Parts) -> dict[str, object]:
    problem = agent.look.problem
    return {"ok": True, **({"problems": [{"zh": problem.zh, "en": problem.en}]} if problem else {})}


@router.post("/apps/deploy", response_model_exclude_none=True)
async def deploy(agent: Parts, body: AgentDeploy, request: Request) -> AgentDeployed:
    if "container_port" not in body.model_fields_set:
        body = body.model_copy(update={"container_port": agent.node.settings.container_port})
    if body.generation is None:
        return await _answered(agent.older.deploy(body))
    done = await while_connected(request, agent.rollouts.deploy(body))
    agent.node.changed.set()
    return done


@router.post("/apps/start", response_model_exclude_none=True)
async def start(agent: Parts, body: AgentApp, request: Request) -> AgentDeployed:
    done = await while_connected(request, agent.apps.start(body))
    agent.node.changed.set()
    return done


@router.post("/apps/stop")
async def stop(agent: Parts, body: AgentApp) -> AgentStopped:
    done = await _answered(agent.apps.stop(body))
    agent.node.changed.set()
    return done


@router.post("/apps/delete")
async def delete(agent: Parts, body: AgentApp) -> AgentDeleted:
    gone = await _answered(agent.apps.delete(body))
    agent.meter.forget(int(body.app_id))
    agent.node.changed.set()
    return gone


@router.get("/apps/status")
async def status(agent: Parts, userId: Id, appId: Id) -> AgentStatus:  # noqa: N803
    return await _answered(agent.apps.status(userId, appId))


@router.get("/apps/usage")
async def usage(
    agent: Parts,
    userId: Id,  # noqa: N803, ARG001
    appId: Id,  # noqa: N803
    window: Window = Window.HOUR,
) -> AppUsage:
    return agent.meter.usage(appId, window)


@router.get("/apps/logs", response_class=StreamingResponse)
async def logs(
    agent: Parts,
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


def install(app: FastAPI, agent: Agent, guard: SecretGuard) -> None:
    """Serve the agent's calls; its parts and its guard are reached through the request."""
    app.state.agent, app.state.guard = agent, guard
    add_routes(app, health)
    add_routes(app, router)


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
