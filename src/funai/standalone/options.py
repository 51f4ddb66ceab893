"""What a person may say to ``funai up``: where the state lives, and which ports."""

from __future__ import annotations

import ipaddress
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from urllib.parse import urlsplit

from funai.base.home import user_folder
from funai.base.process import ports
from funai.contracts import naming, rules
from funai.contracts.apps.domains import clean_domain
from funai.contracts.errors import BadInput, ConfigError
from funai.gateway.settings import DOMAIN, PLAIN_PATH, UNIX_PATH_LIMIT
from funai.standalone.given import Given

LOOPBACK = "127.0.0.1"
EMBEDDED, NONE, CONTAINER = "embedded", "none", "container"
MONGO_IMAGE = "docker.io/library/mongo:7"


def default_data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """``$XDG_DATA_HOME/funai/platform`` or its default. Raises ConfigError for an account without a home."""
    folder = user_folder("XDG_DATA_HOME", ".local/share", environ)
    if folder is None:
        raise ConfigError(["this account has no home folder; give --data-dir, and set HOME for the container engine"])
    return folder / "funai" / "platform"


@dataclass(frozen=True)
class Ports:
    """Defaults are the contract's."""

    gateway: int = 8000
    api: int = 8080
    deploy: int = 7002
    agent: int = 7005
    git: int = 2222
    registry: int = 5000
    runner: int = 7003
    """Of the Runner's own numbers; the contract has no port for it."""

    def items(self) -> list[tuple[str, int]]:
        return [(f.name, getattr(self, f.name)) for f in fields(self)]

    @classmethod
    def free(cls) -> Ports:
        """Different free ports, for a platform beside another one."""
        chosen: list[int] = []
        while len(chosen) < len(fields(cls)):
            port = ports.free_port()
            if port not in chosen:
                chosen.append(port)
        return cls(*chosen)


@dataclass(frozen=True)
class Tls:
    """A certificate's files (PEM), and the ports that serve it: the apps' and the API's.

    Without files the gateway gets one for the public host from an ACME authority.
    """

    certificate: Path | None
    key: Path | None
    port: int
    api_port: int

    @property
    def by_acme(self) -> bool:
        return self.certificate is None


@dataclass(frozen=True)
class UpOptions:
    data_dir: Path = field(default_factory=default_data_dir)
    host: str = LOOPBACK
    """Where people reach it: gateway, API and Git listen here; everything else stays on loopback."""
    name: str | None = None
    """How people reach it, when that isn't ``host``: a name, or the address of this machine that others see."""
    apps_domain: str = "apps.localhost"
    """Every app is also ``{appId}.{apps_domain}``; empty: only the path form. Browsers resolve ``*.localhost`` themselves."""
    ports: Ports = field(default_factory=Ports)
    tls: Tls | None = None
    """None: plain HTTP."""
    image_mirror: str | None = None
    """Asked first for Docker Hub's images."""
    postgres: str = EMBEDDED
    """Databases for apps: this machine's own server, none, or the URL of another."""
    mongo: str = ""
    """The URL of a MongoDB for apps; or a container of ``mongo_image``, with at most ``mongo_memory`` bytes."""
    mongo_image: str = MONGO_IMAGE
    mongo_memory: int = 1 << 30
    given: Given = field(default_factory=Given)
    slots: int = 1
    grace_seconds: float = 30
    """How long a stop waits for running jobs."""

    @property
    def local_host(self) -> str:
        """Where this machine itself reaches what listens at ``host``, as it stands in a URL."""
        if self.host in ("0.0.0.0", "::"):
            return LOOPBACK
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def public_host(self) -> str:
        """What stands in the addresses that people are given."""
        return self.name or self.local_host

    @property
    def gateway_url(self) -> str:
        if self.tls:
            return f"https://{self.public_host}{'' if self.tls.port == 443 else f':{self.tls.port}'}"
        return f"http://{self.public_host}:{self.ports.gateway}"

    @property
    def apps_url(self) -> str:
        """Where people reach apps, ``{app}`` for the app's id: a name of each app's own, else the path form."""
        return naming.apps_url(self.gateway_url, self.apps_domain) or f"{self.gateway_url}/runtime/{{app}}/"

    @property
    def api_host(self) -> str:
        """Where the API's plain port listens: with HTTPS on it is for this machine's own services alone."""
        return LOOPBACK if self.tls else self.host

    @property
    def api_url(self) -> str:
        return f"http://{LOOPBACK if self.tls else self.local_host}:{self.ports.api}"

    @property
    def public_api_url(self) -> str:
        if self.tls:
            return f"https://{self.public_host}{'' if self.tls.api_port == 443 else f':{self.tls.api_port}'}"
        return f"http://{self.public_host}:{self.ports.api}"

    @property
    def deploy_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.deploy}"

    @property
    def agent_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.agent}"

    @property
    def registry_address(self) -> str:
        return f"{LOOPBACK}:{self.ports.registry}"

    def with_absolute_dir(self) -> UpOptions:
        """The folder has one spelling: containers are distinguished by it."""
        return replace(self, data_dir=Path(os.path.abspath(self.data_dir.expanduser())))  # absolute() keeps ".."


SOCKETS = "/gateway/run/admin.sock"
"""The deepest unix socket below a data dir."""


def check_options(options: UpOptions) -> None:
    """What can be checked before anything is made. Raises ConfigError with a line for each option that can't be used."""
    problems: list[str] = []
    folder, most = str(options.data_dir), UNIX_PATH_LIMIT - len(SOCKETS)
    if not PLAIN_PATH.fullmatch(folder):
        problems.append(f"--data-dir {folder}: give a path of letters, digits and ._/@+~- (programs read it in their settings)")
    elif len(folder) > most:
        problems.append(
            f"--data-dir {folder}: longer than {most} characters, too long for the sockets in it; give a shorter one"
        )
    if why := _host_trouble(options.host):
        problems.append(f"--host {options.host}: {why}; give an IP address of this machine, or 0.0.0.0 for all of them")
    if options.name is not None and not _is_name(options.name):
        problems.append(f"--public-host {options.name}: give a host name or an address, without a port")
    if options.apps_domain and not DOMAIN.fullmatch(options.apps_domain):
        problems.append(f"--apps-domain {options.apps_domain}: give a domain such as apps.example.com, or none")
    if options.mongo and (why := _mongo_trouble(options.mongo)):
        problems.append(f"--mongo: {why}; give container, or mongodb://user:password@host:port/?authSource=admin")
    if options.tls and options.tls.by_acme and not _is_public(options.public_host):
        problems.append(
            f"https.acme_directory: {options.public_host} can't be certified; set server.public_host to a public name"
        )
    if options.tls and (why := _certificate_trouble(options.tls)):
        problems.append(f"https.certificate {options.tls.certificate}, https.key {options.tls.key}: {why}")
    if problems:
        raise ConfigError(problems)


def _is_public(host: str) -> bool:
    try:
        return clean_domain(host) == host
    except BadInput:
        return False


def _certificate_trouble(tls: Tls) -> str | None:
    if tls.certificate is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tls.certificate, tls.key, password="")
    except ssl.SSLError as e:
        return f"not a certificate with its unencrypted key ({e.reason or e})"
    except OSError as e:
        return str(e.strerror)
    return None


def _mongo_trouble(url: str) -> str | None:
    """The URL itself is not repeated: it has a password in it."""
    if url == CONTAINER:
        return None
    parts = urlsplit(url)
    try:
        usable = parts.scheme == "mongodb" and parts.hostname is not None and parts.port != 0 and "," not in parts.netloc
    except ValueError:
        usable = False
    return None if usable else "not the address of one MongoDB server"


def _host_trouble(host: str) -> str | None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "not an IP address"
    return ports.unusable(host)


def _is_name(host: str) -> bool:
    try:
        return ":" not in rules.check_registry(host)
    except BadInput:
        return False


_PUBLIC = ("gateway", "git", "https", "api-https")


def check_ports(options: UpOptions, ours: set[int]) -> None:
    """Every port must be free, or held by a daemon of this data dir that goes on (``ours``: its pids).

    Raises ConfigError with a line for each port taken, who holds it and the option that moves it.
    """
    problems: list[str] = []
    seen: dict[int, str] = {}
    https = [("https", options.tls.port), ("api-https", options.tls.api_port)] if options.tls else []
    for name, port in [*options.ports.items(), *https]:
        if port in seen:
            problems.append(f"--{name}-port {port}: the same port as --{seen[port]}-port; give another")
        seen[port] = name
        host = options.api_host if name == "api" else options.host if name in _PUBLIC else LOOPBACK
        if ports.is_free(host, port):
            continue
        holder = ports.holder(port) or "a program that doesn't show itself"
        if any(f"(pid {pid})" in holder for pid in ours):
            continue
        problems.append(f"--{name}-port {port}: taken by {holder}; stop it or choose another with --{name}-port")
    if problems:
        raise ConfigError(problems)
