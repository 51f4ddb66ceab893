"""What an operator may set about an edge, beside the ``gateway.*`` settings of its HAProxy."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator

from funai.base.config.settings import CsvList, Secret, Settings, key, metrics_allowed
from funai.gateway.settings import DOMAIN, PLAIN_PATH, host_port


def _urls(values: list[str]) -> list[str]:
    urls = [value.rstrip("/") for value in values]
    if not urls or not all(url.startswith(("http://", "https://")) for url in urls):
        raise ValueError("must be one or more addresses such as http://10.0.0.2:7002")
    return urls


def _paths(values: list[str]) -> list[str]:
    for value in values:
        if not value.startswith("/") or not PLAIN_PATH.fullmatch(value):
            raise ValueError(f"{value!r} is not the beginning of a path such as /console")
    return values


def _hosts(values: list[str]) -> list[str]:
    hosts = [value.lower() for value in values]
    for host in hosts:
        if not DOMAIN.fullmatch(host):
            raise ValueError(f"{host!r} is not a host name")
    return hosts


class EdgeSettings(Settings):
    """Read by ``funai serve edge``, with :class:`~funai.gateway.settings.GatewaySettings`."""

    title: ClassVar[str] = "Edge"

    deploy_base_urls: Annotated[CsvList, AfterValidator(_urls)] = key(
        "edge.deploy-base-urls", doc="Deploy, whose routes it follows; of several instances one that answers is asked"
    )
    token: Secret = key("edge.token", doc="Sent to Deploy as `X-Edge-Token`")
    public_url: str = key(
        "edge.public-url",
        "",
        doc="Where people reach it, such as `https://apps.example.com`",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+/?)?$",
    )
    platform_upstream: Annotated[str, AfterValidator(host_port)] = key(
        "edge.platform-upstream",
        "",
        doc="Where the platform's own paths go, e.g. the API at `10.0.0.2:8080`; empty: everything but apps is the 404 page",
    )
    platform_paths: Annotated[CsvList, AfterValidator(_paths)] = key(
        "edge.platform-paths", ["/"], doc="Beginnings of the platform's paths; `/runtime/` and `/internal/` never go there"
    )
    platform_hosts: Annotated[CsvList, AfterValidator(_hosts)] = key(
        "edge.platform-hosts", [], doc="Hosts under which those count; empty: every host that is no app's"
    )
    status_host: str = key("edge.status-host", "127.0.0.1", doc="Address of its own `/internal/health` and `/metrics`")
    metrics_allowed_ips: CsvList = metrics_allowed()
    status_port: int = key("edge.status-port", 7007, doc="Their port", ge=0, le=65535)
