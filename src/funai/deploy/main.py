"""Composition of the Deploy process: the one place where the queue, placement, releases and apps meet.

Teardown, in order: waiting runners and log readers are answered, no new requests, open requests finish, sweeps stop,
clients and database close.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import ColumnElement, Connection

from funai.base.aio import bind, periodic, serving, settle_memory
from funai.base.config.sealing import Sealer
from funai.base.config.settings import METRICS_ALLOWED
from funai.base.db import migrate
from funai.base.db.engine import Database
from funai.base.http.app import add_routes, create_app, ok
from funai.base.http.guards import Network, SecretGuard, address_guard, networks
from funai.base.observability import log
from funai.contracts.apps.edge import TOKEN_HEADER
from funai.contracts.errors import ConfigError
from funai.contracts.nodes import CredentialKind as Kind
from funai.deploy.access.credentials import Credentials
from funai.deploy.access.joining import Joining
from funai.deploy.access.routes import credential_routes, join_routes, join_token_routes, own_node_routes
from funai.deploy.alerts.channels import channels
from funai.deploy.alerts.conditions import Limits
from funai.deploy.alerts.facts import FactFinder
from funai.deploy.alerts.gateways import GatewayBook, edge_gateway_routes, node_gateway_routes
from funai.deploy.alerts.watch import AlertWatch
from funai.deploy.apps.agents import Agents
from funai.deploy.apps.routes import app_routes
from funai.deploy.apps.service import Apps, RemoteImages
from funai.deploy.domains.routes import domain_routes, node_domain_routes
from funai.deploy.domains.service import DomainBook
from funai.deploy.edge.feed import RouteFeed
from funai.deploy.edge.routes import edge_routes
from funai.deploy.events.feed import EventFeed
from funai.deploy.events.routes import event_routes
from funai.deploy.logs.service import LogService
from funai.deploy.logs.store import LogStore
from funai.deploy.migrations import takeover
from funai.deploy.moves.jobs import MoveJobs
from funai.deploy.moves.mover import Mover
from funai.deploy.moves.routes import move_routes
from funai.deploy.moves.service import Moves
from funai.deploy.moves.watch import NodeWatch
from funai.deploy.placement.heartbeats import Heartbeats
from funai.deploy.placement.metrics import NodeMetrics
from funai.deploy.placement.operator import Nodes
from funai.deploy.placement.routes import admin_routes, heartbeat_routes
from funai.deploy.placement.service import Placer, rules_from
from funai.deploy.placement.walls import WallsMaker
from funai.deploy.queue.maintenance import services as maintenance
from funai.deploy.queue.maintenance.services import QueueMaintenance
from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.notify import Hints, NoHints, PostgresHints
from funai.deploy.queue.routes import api_routes, hot_api_routes, hot_runner_routes, runner_routes
from funai.deploy.queue.runners import RunnerRegistry
from funai.deploy.queue.service import JobService
from funai.deploy.queue.store import JobStore
from funai.deploy.queue.waiters import Waiters
from funai.deploy.releases.orphans import OrphanImages
from funai.deploy.releases.registry import open_registry
from funai.deploy.releases.retention import Registry, Retention
from funai.deploy.releases.store import ReleaseBook
from funai.deploy.settings import DeploySettings

MIGRATIONS = Path(__file__).parent / "migrations"
MAX_BODY = 2 * 1024 * 1024


@dataclass
class Core:
    """Deploy's parts, composed. Left to :func:`running` to start and stop."""

    settings: DeploySettings
    db: Database
    waiters: Waiters
    hints: Hints
    feed: EventFeed
    routes: RouteFeed
    maintenance: QueueMaintenance
    jobs: JobService
    logs: LogService
    releases: ReleaseBook
    heartbeats: Heartbeats
    nodes: Nodes
    node_metrics: NodeMetrics
    moves: Moves
    apps: Apps
    credentials: Credentials
    joining: Joining
    domains: DomainBook
    alerts: AlertWatch
    gateways: GatewayBook
    walls: WallsMaker
    retention: Retention | None = None
    watch: NodeWatch | None = None

    def release_waiting(self) -> None:
        """Answer all open calls now: runners get no job, readers of logs and events what there is."""
        self.waiters.close()
        self.logs.close()
        self.feed.close()
        self.routes.close()
        self.apps.agents.closing.set()


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

    figures = partial(core.nodes.measure, core.node_metrics, settings.runner_stale_seconds)
    app.state.refreshers.add(core.maintenance.gauges.run_once, figures)
    guard = _guards(settings, trusted)
    api = guard("X-DEPLOY-SECRET", settings.proxy_auth_secret if settings.proxy_auth_enabled else None, "proxy-auth")
    credentials = core.credentials
    runner = guard("X-Runner-Token", settings.runner_guard, "runner-auth", partial(credentials.owner, Kind.RUNNER))
    add_routes(app, hot_runner_routes(core.jobs, runner))
    add_routes(app, hot_api_routes(core.jobs, api))
    add_routes(app, runner_routes(core.logs, runner))
    add_routes(app, api_routes(core.jobs, core.logs, api))
    add_routes(app, event_routes(core.feed, api))
    add_routes(app, app_routes(core.apps, core.releases, core.db, api, OrphanImages(core.retention)))
    add_routes(app, domain_routes(core.domains, api))
    # Without a shared secret no guess is let in here, only a credential that was made for an edge.
    secret = settings.edge_secret or SecretStr(secrets.token_urlsafe(32))
    edge = guard(TOKEN_HEADER, secret, "edge", partial(credentials.owner, Kind.EDGE))
    add_routes(app, edge_routes(core.routes, edge))
    add_routes(app, edge_gateway_routes(core.gateways, edge))
    if settings.node_registry_enabled:
        known = partial(credentials.owner, Kind.NODE)
        node = guard("X-RT-Node-Token", settings.node_registry_secret, "runtime-node-registry", known)
        add_routes(app, heartbeat_routes(core.heartbeats, node))
        add_routes(app, node_domain_routes(core.domains, node))
        add_routes(app, node_gateway_routes(core.gateways, node))
        add_routes(app, own_node_routes(core.joining, node))
        add_routes(app, join_routes(core.joining, SecretGuard("", None, allowed=node.allowed, trusted=node.trusted)))
    if settings.admin_enabled:
        admin = guard("X-Admin-Token", settings.admin_token, "admin")
        add_routes(app, admin_routes(core.nodes, core.db, settings.runner_stale_seconds, admin))
        add_routes(app, move_routes(core.moves, admin))
        add_routes(app, credential_routes(credentials, admin))
        add_routes(app, join_token_routes(core.joining, admin))

    @app.get("/internal/health", include_in_schema=False)
    async def health() -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
        problems = core.retention.problems if core.retention else []
        about = {"ok": True, "service": "fun-ai-studio-deploy", "timestamp": round(time.time() * 1000)}
        return ok({**about, **({"problems": problems} if problems else {})})

    return app


def _guards(settings: DeploySettings, trusted: Sequence[Network]) -> Callable[..., SecretGuard]:
    allowed = {
        "proxy-auth": settings.proxy_auth_allowed_ips,
        "runner-auth": settings.runner_allowed_ips,
        "runtime-node-registry": settings.node_registry_allowed_ips,
        "edge": settings.edge_allowed_ips,
        "admin": settings.admin_allowed_ips,
    }

    def guard(
        header: str, secret: SecretStr | None, name: str, own: Callable[[str], Awaitable[str | None]] | None = None
    ) -> SecretGuard:
        nets = networks(allowed[name], f"deploy.{name}.allowed-ips")
        if secret is None:
            log.get("deploy").warning("guard.open", guard=f"deploy.{name}", allowed=[str(net) for net in nets] or "anybody")
        return SecretGuard(header, secret, allowed=nets, trusted=trusted, own=own)

    return guard


def assemble(
    settings: DeploySettings,
    metrics_registry: CollectorRegistry,
    *,
    now: ColumnElement[int] | None = None,
    agent_http: Callable[[], httpx.AsyncBaseTransport] | None = None,
    images: RemoteImages | None = None,
) -> Core:
    """Bind every part to its neighbours. Nothing is opened yet."""
    db = Database(settings.datasource_url, pool_size=settings.datasource_pool)
    metrics = JobMetrics(metrics_registry)
    rules, releases, waiters = rules_from(settings), ReleaseBook(settings.move_drain_seconds * 1000), Waiters()
    hints: Hints = PostgresHints(db, waiters) if db.dialect.notifies else NoHints()
    store = JobStore(db, placer=Placer(rules), releases=releases, order=settings.queue_order, now=now)
    tending = maintenance.assemble(store, settings, waiters, metrics)
    feed, logs = EventFeed(db, store.events), LogService(LogStore(db, store.now, settings.log_max_bytes))
    jobs = JobService(
        store,
        maintenance=tending,
        runners=RunnerRegistry(db, store.now, settings.runner_stale_seconds),
        waiters=waiters,
        hints=hints,
        metrics=metrics,
        sealer=Sealer.from_file(settings.env_key_file) if settings.env_key_file else None,
        ended=[logs.wake, lambda _: feed.wake()],
    )
    tending.ender.on_ended = jobs.count_ended
    tending.tender.also.append(jobs.runners.write)
    token = settings.agent_token.get_secret_value() if settings.agent_token else ""
    agents = Agents(db, rules, token, timeout=settings.agent_timeout_seconds, http=agent_http)
    retention = _retention(settings, db, metrics_registry)
    moves = Moves(db, Mover(db, rules, MoveJobs(jobs), at_once=settings.moves_at_once))
    watch = NodeWatch(db, moves, settings.evacuate_seconds, metrics_registry) if settings.evacuate_seconds else None
    nodes = Nodes(db, rules, jobs, moves, lambda: watch.held if watch else ())
    credentials, walls, gateways = Credentials(db), WallsMaker(db, settings), GatewayBook(db)
    return Core(
        settings=settings,
        db=db,
        waiters=waiters,
        hints=hints,
        feed=feed,
        routes=RouteFeed(db),
        maintenance=tending,
        jobs=jobs,
        logs=logs,
        releases=releases,
        heartbeats=Heartbeats(db, rules, jobs, lambda: walls.now),
        nodes=nodes,
        node_metrics=NodeMetrics(metrics_registry),
        moves=moves,
        apps=Apps(db, agents, jobs, images or retention),
        credentials=credentials,
        joining=Joining(db, nodes, credentials, settings.agent_token),
        domains=DomainBook(db),
        alerts=_alerts(settings, db, nodes, tending, retention, gateways, metrics_registry),
        gateways=gateways,
        walls=walls,
        retention=retention,
        watch=watch,
    )


def _alerts(
    settings: DeploySettings,
    db: Database,
    nodes: Nodes,
    tending: QueueMaintenance,
    retention: Retention | None,
    gateways: GatewayBook,
    metrics: CollectorRegistry,
) -> AlertWatch:
    instance, days = f"{socket.gethostname()}:{settings.port}", settings.alert_certificate_days
    facts = FactFinder(db, nodes, tending.gauges, retention, gateways, settings.runner_stale_seconds, instance, days)
    errors = (settings.alert_errors_pct, settings.alert_errors_least)
    limits = Limits(settings.disk_free_drain_pct, settings.alert_queue_seconds, days, *errors)
    return AlertWatch(db, settings, limits, facts.look, channels(settings), metrics)


def _retention(settings: DeploySettings, db: Database, metrics: CollectorRegistry) -> Retention | None:
    if not settings.cleanup_enabled:
        return None
    registry = Registry(open_registry(settings), settings.cleanup_registry, settings.cleanup_namespace)
    return Retention(db, registry, keep=settings.cleanup_keep, metrics=metrics)


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
