"""What an operator may set about a runtime-agent. Names of the contract first, ours after them."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator

from funai.agent.databases.settings import DatabaseSettings, Size
from funai.agent.engine.contract import EngineInfo, Limits
from funai.base.config.settings import CsvList, Secret, key, metrics_allowed

_INSTANCE = re.compile(r"[a-z0-9]{0,16}")


def _or_none(value: object) -> object:
    """``none`` or ``unlimited``: no limit, said in a word."""
    return "0" if isinstance(value, str) and value.strip().lower() in ("none", "unlimited") else value


def _instance(value: str) -> str:
    if not _INSTANCE.fullmatch(value):
        raise ValueError("must be at most 16 lower-case letters and digits")
    return value


def _destinations(entries: list[str]) -> list[str]:
    for entry in entries:
        network, colon, port = entry.partition(":")
        IPv4Network(network)
        if colon and not (port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f"{entry!r} must look like 10.0.0.5:27017 or 10.0.0.0/24")
    return entries


def _pool(value: str) -> str:
    if IPv4Network(value).prefixlen > 26:
        raise ValueError("is too small: give at least a /26")
    return value


class Reach(StrEnum):
    """How the gateway gets to an app."""

    AUTO = "auto"
    """``published`` with a rootless engine, else ``address``."""
    ADDRESS = "address"
    """The container's own address, fixed for its life."""
    PUBLISHED = "published"
    """A port of 127.0.0.1, chosen by the engine."""


class OnDelete(StrEnum):
    """What becomes of the images of a deleted app on this node."""

    REMOVE = "remove"
    """Those go that only this app uses."""
    KEEP = "keep"


class RuntimeSettings(DatabaseSettings):
    title: ClassVar[str] = "Runtime-agent"

    host: str = key("RUNTIME_AGENT_HOST", "127.0.0.1", doc="Address to listen on")
    port: int = key("RUNTIME_AGENT_PORT", 7005, doc="Port to listen on", ge=0, le=65535)
    token: Secret = key("RUNTIME_AGENT_TOKEN", doc="What callers send as `X-Runtime-Token`")
    node_name: str = key(
        "RUNTIME_NODE_NAME", "local", doc="This node's name at Deploy", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$"
    )
    node_agent_base_url: str = key("RUNTIME_NODE_AGENT_BASE_URL", "", doc="Where Deploy and runners reach this agent")
    node_gateway_base_url: str = key("RUNTIME_NODE_GATEWAY_BASE_URL", "", doc="Where the public reaches this node's gateway")
    node_upstream_url: str = key(
        "RUNTIME_NODE_UPSTREAM_URL",
        "",
        doc="Where an edge reaches this node's gateway, e.g. `http://10.0.0.5:8000`; default: the host of "
        "RUNTIME_NODE_AGENT_BASE_URL with `gateway.port`",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]+/?)?$",
    )
    node_apps_url: str = key(
        "RUNTIME_NODE_APPS_URL",
        "",
        doc="Apps' own addresses as people are given them, e.g. `https://{app}.apps.example.com/`; `none`: they are given the "
        "path form; default from `gateway.wildcard-domain` with the scheme and port of RUNTIME_NODE_GATEWAY_BASE_URL",
        pattern=r"^(none|https?://\{app\}\.[A-Za-z0-9.-]+(:[0-9]{1,5})?/)?$",
    )
    deploy_base_url: str = key("DEPLOY_BASE_URL", "", doc="Deploy, for heartbeats; empty sends none")
    deploy_node_token: Secret | None = key("DEPLOY_NODE_TOKEN", None, doc="Sent to Deploy as `X-RT-Node-Token`")
    heartbeat_seconds: float = key("DEPLOY_HEARTBEAT_SECONDS", 15.0, doc="How often Deploy hears of this node", gt=0, le=300)
    domains_seconds: float = key(
        "RUNTIME_DOMAINS_SECONDS", 5.0, doc="How often Deploy is asked for the apps' own domains", gt=0, le=300
    )
    docker_network: str = key(
        "RUNTIME_DOCKER_NETWORK",
        "",
        doc="One network for all apps (a Traefik container shares it); empty: one for each app",
    )
    docker_bin: str = key("RUNTIME_DOCKER_BIN", "docker", doc="`docker` or `podman`: whose default socket to use")
    traefik_enable: bool = key("RUNTIME_TRAEFIK_ENABLE", False, doc="Label containers for Traefik's Docker provider")
    app_cpus: Annotated[float, BeforeValidator(_or_none)] = key(
        "RUNTIME_APP_CPUS", 1.0, doc="Cores an app may use; `none` or 0 = no limit", ge=0, le=1024
    )
    app_memory: Annotated[Size, BeforeValidator(_or_none)] = key(
        "RUNTIME_APP_MEMORY", 512 << 20, doc="Memory an app may use, e.g. `512m`; `none` or 0 = no limit", ge=0
    )
    app_pids_limit: Annotated[int, BeforeValidator(_or_none)] = key(
        "RUNTIME_APP_PIDS_LIMIT", 256, doc="Processes and threads of an app; `none` or 0 = no limit", ge=0
    )
    app_memory_swap: Annotated[Size | None, BeforeValidator(_or_none)] = key(
        "RUNTIME_APP_MEMORY_SWAP",
        None,
        doc="Memory and swap together, as `docker run --memory-swap` takes it; unset: no swap; `none`: no limit",
        ge=0,
    )
    app_cpu_shares: int = key("RUNTIME_APP_CPU_SHARES", 0, doc="Weight of an app's CPU time (1024 is normal); 0 = normal", ge=0)
    app_cpuset_cpus: str = key(
        "RUNTIME_APP_CPUSET_CPUS", "", doc="The cores apps may use, such as `0-3,6`; empty: all", pattern=r"^[0-9,-]*$"
    )
    container_port: int = key(
        "RUNTIME_CONTAINER_PORT", 3000, doc="Where an app listens when its deploy names no port", ge=1, le=65535
    )
    cleanup_images_on_stop: bool = key(
        "RUNTIME_CLEANUP_IMAGES_ON_STOP",
        False,
        doc="A stop also removes the app's container and images here; a start then pulls its release again",
    )
    images_on_delete: OnDelete = key(
        "RUNTIME_IMAGES_ON_DELETE", OnDelete.REMOVE, doc="A deleted app's images here: `remove` those only it uses, or `keep`"
    )
    keep_images: int = key(
        "RUNTIME_KEEP_IMAGES",
        3,
        doc="Images of each app kept on this node with the one that runs; older ones go",
        ge=1,
        le=1_000,
    )
    images_free_pct: float = key(
        "RUNTIME_IMAGES_FREE_PCT", 15.0, doc="With less free disk than this only images in use stay", ge=0, le=100
    )
    registry_url: str = key("REGISTRY_URL", "", doc="The registry that the login below is for, `host[:port]`")
    registry_username: str = key("REGISTRY_USERNAME", "", doc="Pull login")
    registry_password: Secret | None = key("REGISTRY_PASSWORD", None, doc="Pull login")
    # ours
    engine_socket: str = key("RUNTIME_ENGINE_SOCKET", "", doc="Unix socket of the engine's API; default by RUNTIME_DOCKER_BIN")
    instance: Annotated[str, AfterValidator(_instance)] = key(
        "RUNTIME_INSTANCE", "", doc="Keeps two platforms on one engine apart (part of container names)"
    )
    state_dir: str = key(
        "RUNTIME_STATE_DIR",
        "/var/lib/funai/agent",
        doc="Where releases are kept (variables sealed) so that apps whose containers were removed come back; empty keeps none",
    )
    reach: Reach = key("RUNTIME_REACH", Reach.AUTO, doc="How the gateway reaches apps: `auto`, `address` or `published`")
    build_network: str = key(
        "RUNTIME_BUILD_NETWORK",
        "",
        doc="A network kept for this node's Runner (its RUNNER_BUILD_NETWORK), walled like apps",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
    )
    app_subnets: Annotated[str, AfterValidator(_pool)] = key(
        "RUNTIME_APP_SUBNETS", "10.208.0.0/13", doc="Pool from which each app's network takes a /27"
    )
    app_capabilities: CsvList = key(
        "RUNTIME_APP_CAPABILITIES",
        ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID"],
        doc="The only capabilities apps keep",
    )
    app_log_max: Size = key("RUNTIME_APP_LOG_MAX", 10 << 20, doc="Size of a container's kept output", ge=64 << 10)
    app_restarts: int = key("RUNTIME_APP_RESTARTS", 5, doc="Restarts by the engine itself before the agent takes over", ge=0)
    app_allow: Annotated[CsvList, AfterValidator(_destinations)] = key(
        "RUNTIME_APP_ALLOW", [], doc="What apps may reach on this host, e.g. their database: `address[:port]`, comma-separated"
    )
    app_deny: Annotated[CsvList, AfterValidator(_destinations)] = key(
        "RUNTIME_APP_DENY",
        [],
        doc="More addresses beyond this host that apps must not reach; Deploy hands out the platform's",
    )
    firewall: bool = key("RUNTIME_FIREWALL", True, doc="Keep apps from this host's own ports (needs root and iptables)")
    health_timeout_seconds: float = key(
        "RUNTIME_HEALTH_TIMEOUT_SECONDS", 60.0, doc="How long a new generation may take", ge=1, le=600
    )
    misplaced_seconds: float = key(
        "RUNTIME_MISPLACED_SECONDS", 15.0, doc="An app that listens only elsewhere this long is not waited for longer", gt=0
    )
    health_interval_seconds: float = key("RUNTIME_HEALTH_INTERVAL_SECONDS", 0.25, doc="Longest pause between two probes", gt=0)
    verify_seconds: float = key("RUNTIME_VERIFY_SECONDS", 10.0, doc="How long the public path may take to show a switch", gt=0)
    drain_seconds: float = key("RUNTIME_DRAIN_SECONDS", 30.0, doc="How long a replaced generation may finish what it has", ge=0)
    stop_grace_seconds: float = key("RUNTIME_STOP_GRACE_SECONDS", 10.0, doc="From SIGTERM to SIGKILL", ge=0)
    sweep_seconds: float = key(
        "RUNTIME_SWEEP_SECONDS",
        5.0,
        doc="How often containers are compared with what should be; on a node of many apps up to six times as rarely",
        gt=0,
    )
    engine_patience_seconds: float = key(
        "RUNTIME_ENGINE_PATIENCE_SECONDS", 30.0, doc="How long a rollout waits for an engine that restarts", ge=0
    )
    orphan_grace_hours: float = key(
        "RUNTIME_ORPHAN_GRACE_HOURS",
        24.0,
        doc="How long a database or container must look orphaned before a clean-up deletes it",
        ge=0,
    )
    older_runner_seconds: float = key(
        "RUNTIME_OLDER_RUNNER_SECONDS",
        25.0,
        doc="A caller that names no generation (a Runner of before, which waits 30 s) is answered within so long; the rollout "
        "goes on",
        gt=0,
        le=600,
    )
    metrics_allowed_ips: CsvList = metrics_allowed()
    capacity: int | None = key("RUNTIME_CAPACITY", None, doc="Apps this node should hold, told to Deploy", ge=0)

    @property
    def limits(self) -> Limits:
        """Of every app's container."""
        return Limits(
            self.app_cpus,
            self.app_memory,
            self.app_pids_limit,
            self.app_log_max,
            self.app_memory_swap,
            self.app_cpu_shares,
            self.app_cpuset_cpus,
        )

    def publishes(self, engine: EngineInfo) -> bool:
        """Whether the gateway reaches apps at ports of this host's loopback: a rootless engine's have no other address."""
        return self.reach is Reach.PUBLISHED or (self.reach is Reach.AUTO and engine.rootless)

    @property
    def socket(self) -> str:
        """The engine's socket path."""
        if self.engine_socket:
            return self.engine_socket.removeprefix("unix://")
        return "/run/podman/podman.sock" if Path(self.docker_bin).name == "podman" else "/var/run/docker.sock"

    @property
    def files_folder(self) -> Path | None:
        return self.journal_folder / "files" if self.journal_folder else None

    @property
    def walls_file(self) -> Path | None:
        """Where what Deploy handed out last is kept."""
        return self.journal_folder / "walls.json" if self.journal_folder else None

    @property
    def journal_folder(self) -> Path | None:
        return Path(self.state_dir) / (self.instance or "default") if self.state_dir else None
