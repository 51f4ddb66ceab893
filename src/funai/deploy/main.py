"""Composition of the Deploy process: the one place where the queue, placement, releases and apps meet.

Teardown, in order: waiting runners and log readers are answered, no new requests, open requests finish, sweeps stop,
clients and database close.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import httpx
from fastapi import APIRouter, FastAPI
from sqlalchemy import ColumnElement, Connection

from funai.base.aio import bind, periodic, serving, settle_memory
from funai.base.config.settings import METRICS_ALLOWED
from funai.base.db import migrate
from funai.base.db.engine import Database
from funai.base.http.app import add_routes, create_app, ok
from funai.base.http.guards import address_guard, networks
from funai.base.observability import log
from funai.contracts.errors import ConfigError
from funai.deploy.access import routes as access
from funai.deploy.alerts import routes as alerts
from funai.deploy.apps import routes as apps
from funai.deploy.apps.service import RemoteImages
from funai.deploy.domains import routes as domains
from funai.deploy.edge import routes as edge
from funai.deploy.events import routes as events
from funai.deploy.guards import guards_from
from funai.deploy.migrations import takeover
from funai.deploy.moves import routes as moves
from funai.deploy.placement import routes as placement
from funai.deploy.queue import routes as queue
from funai.deploy.services import Core, assemble
from funai.deploy.settings import DeploySettings

MIGRATIONS = Path(__file__).parent / "migrations"
MAX_BODY = 2 * 1024 * 1024


def build(
    settings: DeploySettings,
    *,
    now: ColumnElement[int] | None = None,
    agent_http: Callable[[], httpx.AsyncBaseTransport] | None = None,
    images: RemoteImages | None = None,
) -> FastAPI:
    """Deploy as an ASGI app; ``app.state.core`` has its parts. Its lifespan upgrades the database and runs the sweeps.

    ``now`` replaces the database's clock for the queue (tests), ``agent_http`` the way to agents. Raises ConfigError.
    A composer that stops it calls ``app.state.core.release_waiting()`` before it waits for open requests.
    """
    trusted = networks(settings.trusted_proxies, "deploy.server.trusted-proxies")
    readers = address_guard(settings.metrics_allowed_ips, METRICS_ALLOWED, trusted)
    app = create_app("FunAI Deploy", lifespan=_lifespan, max_body=MAX_BODY, metrics_guard=readers)
    core = app.state.core = assemble(settings, app.state.registry, now=now, agent_http=agent_http, images=images)

    app.state.guards = guards_from(settings, trusted, core.credentials)
    app.state.refreshers.add(
        core.maintenance.gauges.run_once, partial(core.nodes.measure, core.node_metrics, settings.runner_stale_seconds)
    )
    for router in _routers(settings):
        add_routes(app, router)

    @app.get("/internal/health", include_in_schema=False)
    async def health() -> dict[str, object]:  # pyright: ignore[reportUnusedFunction]
        problems = core.retention.problems if core.retention else []
        about = {"ok": True, "service": "fun-ai-studio-deploy", "timestamp": round(time.time() * 1000)}
        return ok({**about, **({"problems": problems} if problems else {})})

    return app


def _routers(settings: DeploySettings) -> Iterator[APIRouter]:
    yield from (queue.running, queue.creation, queue.of_runners, queue.router, events.router, apps.router, domains.router)
    yield from (edge.router, alerts.of_edges)
    if settings.node_registry_enabled:
        yield from (placement.heartbeats, domains.of_nodes, alerts.of_nodes, access.own_nodes, access.joining)
    if settings.admin_enabled:
        yield from (placement.router, moves.router, access.credentials, access.join_tokens)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with running(app.state.core):
        yield


@asynccontextmanager
async def running(core: Core) -> AsyncIterator[None]:
    """The database is up to date, leases are watched and hints heard while the context is open."""
    try:
        await upgrade(core.db, core.settings.time_zone)
        ending = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            core.maintenance.start(tasks, ending)
            for watch in (core.alerts, core.walls):
                watch.start(tasks, ending)
            tasks.create_task(periodic("deploy.runners", 3600.0, core.jobs.runners.forget, ending), name="deploy.runners")
            tasks.create_task(periodic("deploy.routes", 3600.0, core.routes.prune, ending), name="deploy.routes")
            tasks.create_task(periodic("deploy.gateways", 3600.0, core.gateways.prune, ending), name="deploy.gateways")
            tasks.create_task(core.hints.listen(ending), name="deploy.hints")
            mover = core.moves.mover
            for service in (mover, *([core.watch] if core.watch else [])):
                service.start(tasks, ending)
            tasks.create_task(periodic("deploy.moves.prune", 3600.0, mover.prune, ending), name="deploy.moves.prune")
            if core.retention:
                tasks.create_task(core.retention.run(core.settings.cleanup_interval_seconds, ending), name="deploy.retention")
            try:
                yield
            finally:
                core.release_waiting()
                ending.set()
    finally:
        if core.retention:
            await core.retention.registry.images.close()
        await core.heartbeats.close()
        await core.db.close()


async def upgrade(db: Database, time_zone: str = "") -> None:
    """Bring Deploy's tables up to date; those of an existing installation keep their rows, written in ``time_zone``."""
    await migrate.upgrade(db, MIGRATIONS, time_zone=time_zone)


async def check(db: Database, time_zone: str = "") -> list[str]:
    """What an upgrade would do, a line each. Raises ConfigError with what it can't take."""

    def look(conn: Connection) -> list[str]:
        if refused := takeover.problems(conn, takeover.waiting(conn)):
            raise ConfigError(refused)
        return takeover.plan(conn)

    taken = await migrate.alone(db, look, time_zone=time_zone)
    return [*taken, await migrate.pending(db, MIGRATIONS, "funai_deploy_version")]


async def downgrade(db: Database, time_zone: str = "") -> list[str]:
    """Tables that were taken over from an earlier installation, in their form of before. Raises ConfigError."""
    return await migrate.alone(db, takeover.give_back, time_zone=time_zone)


async def serve(settings: DeploySettings, stop: asyncio.Event) -> None:
    """Serve until ``stop``; then waiting runners are answered, open requests finish, and it ends."""
    settings.check_runner_guard()
    app = build(settings)
    await migrate.reachable(app.state.core.db)
    async with serving(app, bind(settings.host, settings.port)) as port:
        log.get("deploy").info("deploy.listening", host=settings.host, port=port)
        settle_memory()
        await stop.wait()
        app.state.core.release_waiting()
