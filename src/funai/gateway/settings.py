"""What an operator may set about the gateway of a node."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, model_validator

from funai.base.config.settings import CsvList, Secret, Settings, key
from funai.base.process.programs import find_program

DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
PLAIN_PATH = re.compile(r"[A-Za-z0-9._/@+~-]+")
_COOKIE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HOST_PORT = re.compile(r"(?:[0-9.]+|\[[0-9a-fA-F:]+\]):([0-9]{1,5})")
_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
UNIX_PATH_LIMIT = 90
"""Bytes of a unix socket's path; the kernel takes 107 and HAProxy appends a suffix while it binds."""


class Driver(StrEnum):
    HAPROXY = "haproxy"
    """We run HAProxy ourselves."""
    TRAEFIK_LABELS = "traefik-labels"
    """The operator's Traefik reads the containers' labels (Docker provider)."""
    TRAEFIK_FILE = "traefik-file"
    """The operator's Traefik reads a folder that we write (file provider)."""

    @property
    def counts(self) -> bool:
        """Whether this driver sees each request."""
        return self is Driver.HAPROXY


def _plain_path(value: Path) -> Path:
    if not value.is_absolute():
        value = Path.cwd() / value
    if not PLAIN_PATH.fullmatch(str(value)):
        raise ValueError("may only hold letters, digits and ._/@+~- (it is written into the proxy's configuration)")
    return value


def _address(value: str) -> str:
    return str(ipaddress.ip_address(value.strip("[]")))


def _networks(value: list[str]) -> list[str]:
    return [str(ipaddress.ip_network(v, strict=False)) for v in value]


def _domain(value: str) -> str:
    value = value.lower().removeprefix("*.").strip(".")
    if value and (len(value) > 200 or not DOMAIN.fullmatch(value)):
        raise ValueError("is not a domain name such as apps.example.com")
    return value


def _all_match(pattern: re.Pattern[str], what: str, value: list[str]) -> list[str]:
    for entry in value:
        if not pattern.fullmatch(entry):
            raise ValueError(f"{entry!r} is not {what}")
    return value


def host_port(value: str) -> str:
    found = _HOST_PORT.fullmatch(value)
    if value and not (found and 0 < int(found[1]) < 65536):
        raise ValueError("must look like 127.0.0.1:8402")
    return value


PlainPath = Annotated[Path, AfterValidator(_plain_path)]


class GatewaySettings(Settings):
    """Read by the process that owns the gateway (the runtime-agent)."""

    title: ClassVar[str] = "Gateway"

    driver: Driver = key(
        "gateway.driver",
        Driver.HAPROXY,
        doc="`haproxy` (ours), `traefik-labels` or `traefik-file` (a Traefik you run)",
    )
    host: Annotated[str, AfterValidator(_address)] = key(
        "gateway.host", "0.0.0.0", doc="Address to listen on; `::` takes IPv4 too"
    )
    port: int = key("gateway.port", 8000, doc="HTTP port", ge=1, le=65535)
    https_port: int = key("gateway.https-port", 0, doc="HTTPS port; 0 switches TLS off", ge=0, le=65535)
    public_https_port: int = key(
        "gateway.public-https-port",
        0,
        doc="HTTPS port as the public sees it, for redirects; 0 = `gateway.https-port`",
        ge=0,
        le=65535,
    )
    https_redirect: bool = key("gateway.https-redirect", True, doc="With TLS on: answer plain HTTP with a redirect to HTTPS")
    tls_dir: PlainPath | None = key(
        "gateway.tls-dir", None, doc="Folder of certificates; watched, changes are taken over without losing a request"
    )
    tls_poll_seconds: float = key("gateway.tls-poll-seconds", 5.0, doc="How often the folder is looked at", ge=0.05, le=3600)
    acme_upstream: Annotated[str, AfterValidator(host_port)] = key(
        "gateway.acme-upstream", "", doc="Where an ACME client answers HTTP-01, e.g. `127.0.0.1:8402`; empty = nowhere"
    )
    acme_directory_url: str = key(
        "gateway.acme-directory-url",
        "",
        doc="Directory of the ACME authority that certifies apps' own domains, such as "
        "`https://acme-v02.api.letsencrypt.org/directory` (by setting it you accept its terms); empty = none",
        pattern=r"^(https://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/%-]*)?)?$",
    )
    acme_email: str = key("gateway.acme-email", "", doc="Where that authority writes to you", pattern=r"^([^@\s,]+@[^@\s,]+)?$")
    acme_ca_file: Path | None = key(
        "gateway.acme-ca-file", None, doc="Extra authorities (PEM) to trust that authority's HTTPS by"
    )
    own_hosts: CsvList = key(
        "gateway.own-hosts", [], doc="Host names of the platform itself that get a certificate from that authority too"
    )
    domain_addresses: CsvList = key(
        "gateway.domain-addresses",
        [],
        doc="Names or addresses that apps' own domains must lead to; default: the host of RUNTIME_NODE_GATEWAY_BASE_URL",
    )
    domain_resolver: Annotated[str, AfterValidator(host_port)] = key(
        "gateway.domain-resolver", "", doc="DNS server that is asked for them, e.g. `192.0.2.53:53`; default: this machine's"
    )
    wildcard_domain: Annotated[str, AfterValidator(_domain)] = key(
        "gateway.wildcard-domain", "", doc="`apps.example.com` also serves every app as `{appId}.apps.example.com`"
    )
    lead_back: bool = key(
        "gateway.lead-back",
        True,
        doc="A request outside `/runtime/` whose `Referer` is an app's page is redirected (307) into that app",
    )
    data_dir: PlainPath = key("gateway.data-dir", Path("/var/lib/funai/gateway"), doc="Where the gateway keeps its files")
    run_dir: PlainPath | None = key("gateway.run-dir", None, doc="Where its sockets are; default `run` in the data dir")
    probe_secret: Secret | None = key(
        "gateway.probe-secret",
        None,
        doc="Lets the owner ask which generation answers; default: made once, kept in the data dir",
    )
    haproxy_bin: str = key("gateway.haproxy-bin", "haproxy", doc="The HAProxy program (2.6 or newer)", min_length=1)
    user: str = key("gateway.user", "", doc="User HAProxy drops to when started as root; default `haproxy` where it exists")
    trusted_proxies: Annotated[CsvList, AfterValidator(_networks)] = key(
        "gateway.trusted-proxies", [], doc="Addresses/CIDRs of proxies in front of us whose `X-Forwarded-*` counts"
    )
    hidden_cookies: Annotated[CsvList, AfterValidator(lambda v: _all_match(_COOKIE, "a cookie name", v))] = key(
        "gateway.hidden-cookies",
        ["funai_session", "__Host-funai_session"],
        doc="Cookies of the platform that no app ever gets to see",
    )
    max_connections: int = key("gateway.max-connections", 0, doc="Connections at once; 0 = what the file limit allows", ge=0)
    app_max_inflight: int = key(
        "gateway.app-max-inflight",
        0,
        doc="Requests in flight to one app, WebSockets included; 0 = a quarter of all connections",
        ge=0,
    )
    user_max_inflight: int = key(
        "gateway.user-max-inflight", 0, doc="Requests in flight to all apps of one user; 0 = a third of all connections", ge=0
    )
    source_max_connections: int = key(
        "gateway.source-max-connections",
        0,
        doc="Connections of one address (IPv6: one /64) above which its requests to apps are refused; 0 = three fifths of all",
        ge=0,
    )
    connect_timeout: float = key("gateway.connect-timeout", 1.0, doc="Seconds to reach an app's container", gt=0, le=60)
    request_timeout: float = key("gateway.request-timeout", 10.0, doc="Seconds for a request's head to arrive", gt=0, le=300)
    response_timeout: float = key(
        "gateway.response-timeout", 300.0, doc="Seconds of silence before a request or response in progress is given up", gt=0
    )
    keepalive_timeout: float = key("gateway.keepalive-timeout", 30.0, doc="Seconds an idle connection is kept", gt=0)
    tunnel_timeout: float = key("gateway.tunnel-timeout", 3600.0, doc="Seconds of silence before a WebSocket is closed", gt=0)
    drain_seconds: float = key(
        "gateway.drain-seconds", 600.0, doc="How long a replaced proxy process may finish what it has in hand", ge=1
    )
    retry_after_seconds: int = key("gateway.retry-after-seconds", 3, doc="`Retry-After` of the starting page", ge=1, le=3600)
    access_log: bool = key("gateway.access-log", True, doc="Write `access.log` (JSON lines) in the data dir")
    access_log_max_bytes: int = key(
        "gateway.access-log-max-bytes", 64 * 1024 * 1024, doc="Size at which it is rotated", ge=4096
    )
    stop_with_agent: bool = key(
        "gateway.stop-with-agent", False, doc="Stop HAProxy when the agent is stopped; otherwise it serves on until adopted"
    )
    keeper: bool = key(
        "gateway.keeper",
        False,
        doc="Run a small process that starts HAProxy anew when it and the agent died together (`funai up` does)",
    )
    access_log_keep: int = key("gateway.access-log-keep", 3, doc="Rotated access logs kept", ge=0, le=100)
    metrics_max_apps: int = key(
        "gateway.metrics-max-apps", 1000, doc="Apps with their own metric series; the rest share one", ge=0
    )
    public_url: str = key(
        "gateway.public-url",
        "",
        doc="Traefik drivers: base URL at which the owner reaches the public address, e.g. `http://127.0.0.1`",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+/?)?$",
    )
    traefik_version: int = key("gateway.traefik-version", 3, doc="Rule syntax of your Traefik: 2 or 3", ge=2, le=3)
    traefik_dir: PlainPath | None = key("gateway.traefik-dir", None, doc="`traefik-file`: the folder its file provider watches")
    traefik_entrypoints: Annotated[CsvList, AfterValidator(lambda v: _all_match(_WORD, "an entry point name", v))] = key(
        "gateway.traefik-entrypoints", [], doc="Entry points of the apps' routers; empty = Traefik's default"
    )
    traefik_settle_seconds: float = key(
        "gateway.traefik-settle-seconds", 15.0, doc="How long a switch may take to show at the public address", ge=0
    )
    pages_host: Annotated[str, AfterValidator(_address)] = key(
        "gateway.pages-host", "127.0.0.1", doc="`traefik-file`: address of our page server (unknown, stopped, starting)"
    )
    pages_port: int = key("gateway.pages-port", 7006, doc="`traefik-file`: its port", ge=0, le=65535)
    pages_url: str = key(
        "gateway.pages-url",
        "",
        doc="`traefik-file`: the page server as Traefik reaches it; default from host and port",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+/?)?$",
    )

    @model_validator(mode="after")
    def _whole(self) -> GatewaySettings:
        if len(str(self.sockets)) > UNIX_PATH_LIMIT - len("/admin.sock"):
            raise ValueError(f"gateway.run-dir: {self.sockets} is too long for a socket; set a shorter gateway.run-dir")
        if self.https_port and self.https_port == self.port:
            raise ValueError("gateway.https-port: must differ from gateway.port")
        if self.acme_directory_url and self.acme_upstream:
            raise ValueError("gateway.acme-upstream: not together with gateway.acme-directory-url; empty one of them")
        if self.driver is not Driver.HAPROXY and not self.public_url:
            raise ValueError("gateway.public-url: a Traefik driver needs it")
        if self.driver is Driver.TRAEFIK_FILE and self.traefik_dir is None:
            raise ValueError("gateway.traefik-dir: the traefik-file driver needs it")
        return self

    @property
    def sockets(self) -> Path:
        return self.run_dir or self.data_dir / "run"

    @property
    def haproxy_path(self) -> str | None:
        """The program's absolute path, looked for in sbin folders too; None when it is not installed."""
        return find_program(self.haproxy_bin)
