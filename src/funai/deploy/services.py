"""Deploy's parts, put together once a process; routes reach them through the request."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import httpx
from fastapi import Depends, Request
from prometheus_client import CollectorRegistry
from sqlalchemy import ColumnElement

from funai.base.config.sealing import Sealer
from funai.base.db.engine import Database
from funai.deploy.access.credentials import Credentials
from funai.deploy.access.joining import Joining
from funai.deploy.alerts.channels import channels
from funai.deploy.alerts.conditions import Limits
from funai.deploy.alerts.facts import FactFinder
from funai.deploy.alerts.gateways import GatewayBook
from funai.deploy.alerts.watch import AlertWatch
from funai.deploy.apps.agents import Agents
from funai.deploy.apps.databases import AppDatabases
from funai.deploy.apps.service import Apps, RemoteImages
from funai.deploy.domains.service import DomainBook
from funai.deploy.edge.feed import RouteFeed
from funai.deploy.events.feed import EventFeed
from funai.deploy.logs.service import LogService
from funai.deploy.logs.store import LogStore
from funai.deploy.moves.jobs import MoveJobs
from funai.deploy.moves.mover import Mover
from funai.deploy.moves.service import Moves
from funai.deploy.moves.watch import NodeWatch
from funai.deploy.placement.heartbeats import Heartbeats
from funai.deploy.placement.metrics import NodeMetrics
from funai.deploy.placement.operator import Nodes
from funai.deploy.placement.policy import Rules
from funai.deploy.placement.service import Placer, rules_from
from funai.deploy.placement.walls import WallsMaker
from funai.deploy.queue.maintenance import services as maintenance
from funai.deploy.queue.maintenance.services import QueueMaintenance
from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.notify import Hints, NoHints, PostgresHints
from funai.deploy.queue.runners import RunnerRegistry
from funai.deploy.queue.service import JobService
from funai.deploy.queue.store import JobStore
from funai.deploy.queue.waiters import Waiters
from funai.deploy.releases.orphans import OrphanImages
from funai.deploy.releases.registry import open_registry
from funai.deploy.releases.retention import Registry, Retention
from funai.deploy.releases.store import ReleaseBook
from funai.deploy.settings import DeploySettings


@dataclass
class Core:
    """Deploy's parts, composed. Left to :func:`funai.deploy.main.running` to start and stop."""

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
    databases: AppDatabases
    orphan_images: OrphanImages
    retention: Retention | None = None
    watch: NodeWatch | None = None

    def release_waiting(self) -> None:
        """Answer all open calls now: runners get no job, readers of logs and events what there is."""
        self.waiters.close()
        self.logs.close()
        self.feed.close()
        self.routes.close()
        self.apps.agents.closing.set()


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
    agents = _agents(settings, db, rules, agent_http)
    moves = Moves(db, Mover(db, rules, MoveJobs(jobs), at_once=settings.moves_at_once))
    retention, watch = _retention(settings, db, metrics_registry), _watch(settings, db, moves, metrics_registry)
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
        databases=AppDatabases(agents),
        orphan_images=OrphanImages(retention),
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


def _agents(
    settings: DeploySettings, db: Database, rules: Rules, http: Callable[[], httpx.AsyncBaseTransport] | None
) -> Agents:
    token = settings.agent_token.get_secret_value() if settings.agent_token else ""
    return Agents(db, rules, token, timeout=settings.agent_timeout_seconds, http=http)


def _watch(settings: DeploySettings, db: Database, moves: Moves, metrics: CollectorRegistry) -> NodeWatch | None:
    return NodeWatch(db, moves, settings.evacuate_seconds, metrics) if settings.evacuate_seconds else None


def _retention(settings: DeploySettings, db: Database, metrics: CollectorRegistry) -> Retention | None:
    if not settings.cleanup_enabled:
        return None
    registry = Registry(open_registry(settings), settings.cleanup_registry, settings.cleanup_namespace)
    return Retention(db, registry, keep=settings.cleanup_keep, metrics=metrics)


def core_of(request: Request) -> Core:
    core: Core = request.app.state.core
    return core


Services = Annotated[Core, Depends(core_of)]
