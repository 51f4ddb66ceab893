"""Composition of an edge, and the process ``funai serve edge``."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack, closing

from fastapi import FastAPI, Response
from prometheus_client import CollectorRegistry

from funai.base.aio import bind, periodic, serving, settle_memory
from funai.base.clients.deploy import EdgeDeployClient
from funai.base.config.settings import METRICS_ALLOWED
from funai.base.http.app import create_app
from funai.base.http.guards import address_guard
from funai.base.observability import log
from funai.contracts.errors import ConfigError
from funai.contracts.routes import GatewayError
from funai.gateway.edge.follower import Follower
from funai.gateway.edge.settings import EdgeSettings
from funai.gateway.edge.shown import HaproxyEdge, Shown
from funai.gateway.edge.traefik import TraefikEdge
from funai.gateway.report import REPORT_SECONDS, GatewayReporter
from funai.gateway.settings import Driver, GatewaySettings

TABLE_FILE = "edge.json"


def open_shown(edge: EdgeSettings, gateway: GatewaySettings, registry: CollectorRegistry) -> Shown:
    """The proxy that ``gateway.driver`` names. Raises ConfigError."""
    match gateway.driver:
        case Driver.HAPROXY:
            return HaproxyEdge(edge, gateway, registry)
        case Driver.TRAEFIK_FILE:
            return TraefikEdge(gateway)
        case Driver.TRAEFIK_LABELS:
            raise ConfigError(["gateway.driver: an edge has no containers to label; set haproxy or traefik-file"])


def open_follower(
    edge: EdgeSettings, gateway: GatewaySettings, shown: Shown, registry: CollectorRegistry | None = None
) -> Follower:
    token = edge.token.get_secret_value()
    clients = [EdgeDeployClient(url, token) for url in edge.deploy_base_urls]
    return Follower(clients, shown, gateway.data_dir / TABLE_FILE, registry)


def status_app(edge: EdgeSettings, follower: Follower, shown: Shown, registry: CollectorRegistry) -> FastAPI:
    """``/internal/health``: 503 while the proxy does not serve; Deploy may be away. ``/metrics``. Raises ConfigError."""
    readers = address_guard(edge.metrics_allowed_ips, METRICS_ALLOWED)
    app = create_app("FunAI edge", registry=registry, metrics_guard=readers)

    @app.get("/internal/health", include_in_schema=False)
    async def health(response: Response) -> dict[str, object]:  # pyright: ignore[reportUnusedFunction]
        response.status_code = 200 if shown.healthy else 503
        table = follower.table
        return {
            "ok": shown.healthy,
            "service": "funai-edge",
            "revision": table.revision,
            "apps": len(table.apps),
            "nodes": len(table.nodes),
            "deployReached": follower.reached,
        }

    return app


async def serve(edge: EdgeSettings, gateway: GatewaySettings, stop: asyncio.Event) -> None:
    """Be an edge until ``stop``. Its proxy outlives it, unless ``gateway.stop-with-agent`` is set."""
    registry = CollectorRegistry()
    async with AsyncExitStack() as teardown:
        sock = teardown.enter_context(closing(bind(edge.status_host, edge.status_port)))
        shown = open_shown(edge, gateway, registry)
        follower = open_follower(edge, gateway, shown, registry)
        teardown.push_async_callback(follower.close)
        try:
            await follower.start()
        except GatewayError as e:
            raise ConfigError([f"gateway: {e}"]) from e
        teardown.push_async_callback(shown.stop if gateway.stop_with_agent else shown.close)
        await teardown.enter_async_context(serving(status_app(edge, follower, shown, registry), sock))
        log.get("edge").info("edge.ready", port=gateway.port, apps=len(follower.table.apps), deploy=follower.reached)
        settle_memory()
        reporter = GatewayReporter(f"{socket.gethostname()[:100]}:{gateway.port}", registry, follower.send)
        reporting = asyncio.create_task(periodic("edge.report", REPORT_SECONDS, reporter.report, stop), name="edge.report")
        try:
            await follower.run(stop)
        finally:
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)
