"""Composition of the runtime-agent: the only file of this room that knows which engine and which gateway it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from funai.agent.apps import Apps
from funai.agent.compat.runners import OlderRunners
from funai.agent.databases.keeper import Keeper
from funai.agent.databases.opening import database_parts, open_databases, reachable
from funai.agent.databases.service import Databases
from funai.agent.domains import DomainSync
from funai.agent.engine.contract import Engine, EngineError, EngineInfo
from funai.agent.engine.docker_api import DockerEngine
from funai.agent.heartbeat import Heartbeat
from funai.agent.http import databases as database_calls
from funai.agent.http import routes
from funai.agent.images.gc import ImageGC
from funai.agent.images.kept import KeptImages
from funai.agent.images.pull import Images
from funai.agent.metering.meter import SAVE_SECONDS, Meter, Traffic
from funai.agent.metrics import AgentMetrics
from funai.agent.network.firewall import Firewall, FirewallRefused, Rules
from funai.agent.network.hostfiles import HostFiles, of_host
from funai.agent.network.look import Look
from funai.agent.network.networks import Networks, bridge_prefix, platform_tag, unwalled
from funai.agent.network.shared import SharedNetwork, share
from funai.agent.network.walls import WallsKeeper
from funai.agent.node import Node
from funai.agent.reconcile.crashes import Crashes
from funai.agent.reconcile.journal import Journal
from funai.agent.reconcile.reconciler import Reconciler
from funai.agent.reconcile.restore import Restorer
from funai.agent.rollout.drain import Drainer
from funai.agent.rollout.rollout import Rollouts
from funai.agent.rollout.visit import PublicEntry
from funai.agent.settings import RuntimeSettings
from funai.agent.workload.containers.driver import Containers
from funai.agent.workload.containers.spec import ProxyLabels
from funai.agent.workload.contract import WorkloadError
from funai.agent.workload.patience import patiently
from funai.base.aio import bind, guarded, periodic, serving, settle_memory
from funai.base.clients.deploy import NodeDeployClient
from funai.base.config.settings import METRICS_ALLOWED
from funai.base.http.app import Answers, create_app
from funai.base.http.guards import SecretGuard, address_guard
from funai.base.observability import log
from funai.contracts import naming
from funai.contracts.agent import AgentDeploy
from funai.contracts.apps.domains import Domains
from funai.contracts.errors import ConfigError, NotReady
from funai.contracts.routes import GatewayError, RouteTable, Signs
from funai.gateway.main import Gateway, container_labels, open_gateway
from funai.gateway.report import REPORT_SECONDS, GatewayReporter
from funai.gateway.settings import Driver, GatewaySettings

ENGINE_SECONDS = 30
FIREWALL_SECONDS = 15
SHARED_SECONDS = 5
LOOK_SECONDS = 20
LONGER = 6
"""How many times as rarely a node of many apps is swept, whose engine would do little else."""
IMAGES_SECONDS = 60
MAX_BODY = 4 * 1024 * 1024


@dataclass(frozen=True)
class AgentParts:
    """A composed agent; ``app`` serves, the rest works in the background."""

    app: FastAPI
    node: Node
    apps: Apps
    networks: Networks
    rollouts: Rollouts
    reconciler: Reconciler
    restorer: Restorer
    journal: Journal
    crashes: Crashes
    drainer: Drainer
    images: Images
    look: Look
    older: OlderRunners
    firewall: Firewall | None
    """None where it can't be had; apps reach this host's ports then."""
    walls: WallsKeeper
    shared: SharedNetwork | None
    """None where each app has a network of its own, and where there is no firewall."""
    databases: Databases
    meter: Meter
    domains: Domains | None = None
    """None where the gateway serves no names of apps' own."""


def no_proxy_labels(_: AgentDeploy) -> Mapping[str, str]:
    return {}


async def compose(
    settings: RuntimeSettings,
    engine: Engine,
    table: RouteTable,
    *,
    proxy_labels: ProxyLabels = no_proxy_labels,
    any_base_path: bool = False,
    wildcard_domain: str = "",
    entry: PublicEntry | None = None,
    registry: CollectorRegistry | None = None,
    domains: Domains | None = None,
    traffic: Traffic | None = None,
    signs: Signs | None = None,
) -> AgentParts:
    """Bind everything to an engine and a gateway. Raises EngineError when the engine does not answer in time."""
    info = await patiently(engine.info, ENGINE_SECONDS)
    if info.missing_limits:
        log.get("agent").warning("engine.limits_missing", engine=info.title, not_enforced=list(info.missing_limits))
    images, crashes, registry = Images(settings, engine), Crashes(), registry or CollectorRegistry()
    databases = await open_databases(settings)
    networks, firewall, shared = await _walls(settings, engine, info, await reachable(databases))
    files = HostFiles(settings.files_folder if info.kind == "podman" else None)
    workloads = Containers(settings, engine, networks, files, proxy_labels, signs, published=settings.publishes(info))
    node = Node(settings, workloads, table, info, AgentMetrics(registry))
    node.apps_url, node.entry = _apps_url(settings, wildcard_domain), entry
    drainer = Drainer(node, images)
    journal, meter = Journal(settings.journal_folder), _meter(settings, traffic)
    journal.load()
    rollouts = Rollouts(node, images, drainer, databases=databases, journal=journal, any_base_path=any_base_path)
    restorer, gc = Restorer(node, rollouts, journal), ImageGC(engine, images, settings.images_on_delete)
    rollouts.kept = _kept_images(node, engine, images, gc)
    apps = Apps(node, rollouts, drainer, crashes, gc, journal, databases)
    readers = address_guard(settings.metrics_allowed_ips, METRICS_ALLOWED)
    app = create_app("FunAI runtime-agent", answers=Answers.PLAIN, registry=registry, max_body=MAX_BODY, metrics_guard=readers)
    walls = WallsKeeper(settings.walls_file, firewall, wanted=settings.firewall)
    look, older = Look(node, files, firewall, walls), OlderRunners(node, rollouts)
    guard = SecretGuard("X-Runtime-Token", settings.token)
    routes.install(app, routes.Agent(node, rollouts, apps, look, older, meter), guard)
    database_calls.install(app, database_parts(settings, node, apps, databases))
    return AgentParts(
        app,
        node,
        apps,
        networks,
        rollouts,
        Reconciler(node, drainer, crashes, journal, restorer, meter),
        restorer,
        journal,
        crashes,
        drainer,
        images,
        look,
        older,
        firewall,
        walls,
        shared,
        databases,
        meter,
        domains,
    )


def _meter(settings: RuntimeSettings, traffic: Traffic | None) -> Meter:
    folder = settings.journal_folder
    meter = Meter(traffic, folder and folder / "usage", memory_limit=settings.app_memory)
    meter.load()
    return meter


async def _walls(
    settings: RuntimeSettings, engine: Engine, info: EngineInfo, databases: Sequence[str]
) -> tuple[Networks, Firewall | None, SharedNetwork | None]:
    """Apps' networks, and the firewall around them where it can be had; through it they reach ``databases``."""
    tag = platform_tag(settings.instance, info.data_root)
    allowed = (*settings.app_allow, *databases)
    rules = Rules(tag, bridge_prefix(tag), settings.app_subnets, allowed, tuple(settings.app_deny), resolvers=of_host().servers)
    walled = settings.firewall and not info.rootless and Firewall.possible()
    shared = await share(engine, settings, rules) if walled and settings.docker_network else None
    firewall = shared.firewall if shared else Firewall(rules) if walled and not settings.docker_network else None
    networks = Networks(
        engine,
        pool=settings.app_subnets,
        instance=settings.instance,
        shared=settings.docker_network,
        tag=tag,
        fixed=not info.rootless,
        covers=firewall.cover if firewall else unwalled,
    )
    return networks, firewall, shared


def _kept_images(node: Node, engine: Engine, images: Images, gc: ImageGC) -> KeptImages:
    s = node.settings
    kept, free = s.keep_images, s.images_free_pct
    return KeptImages(engine, images, gc, node.metrics, keep=kept, free_pct=free, data_root=node.info.data_root)


def heartbeat_of(parts: AgentParts, deploy: NodeDeployClient) -> Heartbeat:
    return Heartbeat(parts.node, parts.apps, parts.crashes, parts.journal, parts.restorer, parts.look, parts.walls, deploy)


@asynccontextmanager
async def working(parts: AgentParts) -> AsyncIterator[None]:
    """The background of an agent: routes rebuilt once, then sweeps and heartbeats. Ends tasks in reverse order."""
    settings = parts.node.settings
    async with AsyncExitStack() as teardown:
        teardown.push_async_callback(parts.drainer.close)
        teardown.push_async_callback(parts.images.close)
        teardown.push_async_callback(parts.restorer.close)
        teardown.push_async_callback(parts.older.close)
        quiet = asyncio.Event()
        tasks: list[asyncio.Task[None]] = []
        if await _walled(parts) and parts.firewall:
            tasks.append(asyncio.create_task(periodic("firewall", FIREWALL_SECONDS, parts.firewall.keep, quiet)))
            if shared := parts.shared:
                tasks.append(asyncio.create_task(periodic("shared", SHARED_SECONDS, shared.look, quiet)))
        if settings.build_network:
            await parts.networks.ensure_builds(settings.build_network)
        await parts.reconciler.rebuild()
        often = settings.sweep_seconds
        tasks.append(asyncio.create_task(periodic("sweep", often, parts.reconciler.sweep, quiet, at_most=LONGER * often)))
        tasks.append(asyncio.create_task(periodic("meter", SAVE_SECONDS, parts.meter.save, quiet)))
        if kept := parts.rollouts.kept:
            teardown.push_async_callback(kept.close)
            tasks.append(asyncio.create_task(periodic("images", IMAGES_SECONDS, kept.sweep, quiet)))
        tasks.append(asyncio.create_task(periodic("look", LOOK_SECONDS, parts.look.look, quiet)))
        if parts.databases.drivers:
            teardown.push_async_callback(parts.databases.close)
            keeper = Keeper(parts.databases, settings.backup_hours)
            for name, work in (("databases", keeper.sweep), ("backups", keeper.back_up)):
                tasks.append(asyncio.create_task(periodic(name, settings.database_sweep_seconds, work, quiet)))
        if settings.deploy_base_url and settings.deploy_node_token:
            client = NodeDeployClient(settings.deploy_base_url, settings.deploy_node_token.get_secret_value())
            teardown.push_async_callback(client.close)
            beat = heartbeat_of(parts, client)
            tasks.append(asyncio.create_task(periodic("heartbeat", settings.heartbeat_seconds, beat.beat, quiet)))
            reporter = GatewayReporter(settings.node_name, parts.app.state.registry, client.gateway)
            tasks.append(asyncio.create_task(periodic("gateway", REPORT_SECONDS, reporter.report, quiet)))
            tasks.append(asyncio.create_task(beat.follow(quiet)))
            sync = DomainSync(parts.node, parts.domains, client)
            tasks.append(asyncio.create_task(periodic("domains", settings.domains_seconds, sync.exchange, quiet)))

        async def end() -> None:
            quiet.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await guarded("meter", parts.meter.save)
            await _unwall(parts)

        teardown.push_async_callback(end)
        yield


async def _walled(parts: AgentParts) -> bool:
    """Put the firewall in place before the first container; say clearly when apps are not kept from this host.

    Whether it is to be kept in place, which is tried also after it was refused.
    """
    await parts.walls.load()
    if parts.firewall:
        await parts.networks.take_stock()
        if parts.shared:
            await parts.shared.look()
        await parts.firewall.keep()
        return True
    if parts.node.settings.firewall:
        why = "it needs root, iptables, an engine that is not rootless, and a bridge for RUNTIME_DOCKER_NETWORK"
        log.get("firewall").warning("firewall.missing", consequence="apps reach the ports of this host", why=why)
    return False


async def _unwall(parts: AgentParts) -> None:
    """With no app left on this node there is nothing to keep from it: leave the host's firewall as it was found."""
    try:
        if parts.firewall and not await parts.node.workloads.everything():
            await parts.firewall.remove()
            if name := parts.node.settings.build_network:
                await parts.networks.remove_builds(name)
    except (WorkloadError, FirewallRefused) as e:
        log.get("firewall").warning("firewall.left", error=str(e))


async def serve(settings: RuntimeSettings, gateway: GatewaySettings, stop: asyncio.Event) -> None:
    """Be a runtime-agent until ``stop``. Containers, and the routes to them, outlive it.

    Teardown: no new requests, running rollouts are undone or finished, sweeps and heartbeats end, then the gateway.
    """
    registry = CollectorRegistry()
    async with AsyncExitStack() as teardown:
        sock = teardown.enter_context(closing(bind(settings.host, settings.port)))
        engine = DockerEngine(settings.socket)
        teardown.push_async_callback(engine.close)
        traffic = Traffic()
        table = await _gateway(gateway, settings.node_gateway_base_url, registry, teardown, traffic)
        try:
            parts = await compose(
                settings,
                engine,
                table,
                proxy_labels=_proxy_labels(settings, gateway),
                wildcard_domain=gateway.wildcard_domain,
                entry=PublicEntry(table.url, table.owner_headers),
                registry=registry,
                domains=table.domains,
                traffic=traffic if gateway.driver.counts else None,
                signs=table.signs,
            )
        except EngineError as e:
            raise NotReady([f"no container engine answers at {settings.socket} ({e}); set RUNTIME_ENGINE_SOCKET"]) from e
        parts.node.upstream_url = settings.node_upstream_url or _upstream_url(settings, gateway)
        await teardown.enter_async_context(working(parts))
        await teardown.enter_async_context(serving(parts.app, sock))
        log.get("agent").info("agent.ready", engine=parts.node.info.title, node=settings.node_name)
        settle_memory()
        await stop.wait()


async def _gateway(
    settings: GatewaySettings, public_url: str, registry: CollectorRegistry, teardown: AsyncExitStack, traffic: Traffic
) -> Gateway:
    """The route table by setting. Raises ConfigError when it can't start."""
    table = open_gateway(settings, registry, traffic.count, public_url=public_url)
    try:
        await table.start()
    except GatewayError as e:
        raise ConfigError([f"gateway: {e}"]) from e
    teardown.push_async_callback(table.stop if settings.stop_with_agent else table.close)
    return table


def _upstream_url(settings: RuntimeSettings, gateway: GatewaySettings) -> str:
    """The gateway at the address of this agent; empty where it may not be reached there."""
    if gateway.driver is not Driver.HAPROXY:
        return ""
    return naming.neighbour_url(settings.node_agent_base_url, gateway.host, gateway.port)


def _apps_url(settings: RuntimeSettings, wildcard_domain: str) -> str:
    """The template of apps' own addresses: as set, else as the gateway serves them."""
    if settings.node_apps_url:
        return settings.node_apps_url.removeprefix("none")
    return naming.apps_url(settings.node_gateway_base_url, wildcard_domain)


def _proxy_labels(settings: RuntimeSettings, gateway: GatewaySettings) -> ProxyLabels:
    """What the gateway reads from containers; RUNTIME_TRAEFIK_ENABLE adds Traefik's labels beside any driver."""
    if settings.traefik_enable:
        gateway = gateway.model_copy(update={"driver": Driver.TRAEFIK_LABELS})
    return container_labels(gateway, settings.docker_network)
