"""Binding: which driver the settings choose. The runtime-agent's ``main`` calls this and talks to the result alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from prometheus_client import CollectorRegistry

from funai.contracts.agent import AgentDeploy
from funai.contracts.apps.domains import Domains
from funai.contracts.routes import Route, RouteTable, Signs
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.metrics import Watch
from funai.gateway.settings import Driver, GatewaySettings
from funai.gateway.traefik import config as traefik
from funai.gateway.traefik.drivers import TraefikFileGateway, TraefikLabelsGateway


class Gateway(RouteTable, Protocol):
    """A route table with a life: :meth:`start` → routes → :meth:`close` or :meth:`stop`."""

    @property
    def url(self) -> str:
        """The public address as the owner reaches it, without a trailing slash."""
        ...

    @property
    def owner_headers(self) -> Mapping[str, str]:
        """What marks a request as the owner's: it is in no log, and met by no redirect to HTTPS."""
        ...

    @property
    def healthy(self) -> bool: ...

    @property
    def domains(self) -> Domains | None:
        """Names of apps' own; None where the driver can't serve them, and before :meth:`start`."""
        ...

    @property
    def signs(self) -> Signs | None:
        """For a proxy that reads its routes from containers; None for every other."""
        ...

    async def start(self, routes: Sequence[Route] | None = None) -> None:
        """Serve, with exactly ``routes``, or with the known ones. Raises GatewayError that says what to fix."""
        ...

    async def close(self) -> None:
        """The owner goes, the routes go on serving. Idempotent."""
        ...

    async def stop(self, grace: float = 10.0) -> None:
        """End what is ours to end; open requests get ``grace`` seconds."""
        ...


def open_gateway(
    settings: GatewaySettings, registry: CollectorRegistry | None = None, watch: Watch | None = None, *, public_url: str = ""
) -> Gateway:
    """The gateway that ``gateway.driver`` names, not started yet. Call inside a running event loop.

    ``watch`` is called for each request, where the driver sees them (``Driver.counts``). ``public_url``: where people reach it.
    """
    if settings.driver is Driver.TRAEFIK_FILE:
        return TraefikFileGateway(settings)
    if settings.driver is Driver.TRAEFIK_LABELS:
        return TraefikLabelsGateway(settings)
    return HaproxyGateway(settings, registry, watch, public_url=public_url)


def container_labels(settings: GatewaySettings, network: str = "") -> Callable[[AgentDeploy], Mapping[str, str]]:
    """What to put on an app's container for the driver: Traefik's labels, or none.

    ``network``: the container network that Traefik shares with the apps.
    """

    def of_traefik(wanted: AgentDeploy) -> Mapping[str, str]:
        return traefik.labels(
            int(wanted.app_id),
            wanted.container_port,
            network=network,
            entrypoints=settings.traefik_entrypoints,
            wildcard_domain=settings.wildcard_domain,
            generation=wanted.generation or 0,
        )

    return of_traefik if settings.driver is Driver.TRAEFIK_LABELS else lambda _: {}
