"""Everything an operator can set of the Deploy control plane."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Self
from urllib.parse import urlsplit

from pydantic import SecretStr, model_validator

from funai.base.config.compat import SPRING, datasource, zone_of
from funai.base.config.settings import CsvList, Secret, key, metrics_allowed
from funai.contracts.errors import ConfigError
from funai.deploy.alerts.settings import AlertSettings


class PlacementStrategy(StrEnum):
    DISK_AWARE = "disk-aware"
    HASH = "hash"


class RegistryKind(StrEnum):
    DISTRIBUTION = "distribution"
    """The registry API that every registry speaks: manifests are deleted by digest."""
    HARBOR = "harbor"
    """Harbor's own artifact API."""


class QueueOrder(StrEnum):
    FAIR = "fair"
    """Users take turns; first come, first served within a user."""
    FIFO = "fifo"


class DeploySettings(AlertSettings):
    """Build with ``DeploySettings.load(file)``. Durations are seconds unless the name says otherwise."""

    title: ClassVar[str] = "Deploy control plane"

    older: ClassVar[Mapping[str, str]] = {
        "server.port": "deploy.server.port",
        "server.address": "deploy.server.host",
        **dict.fromkeys(SPRING, "deploy.datasource.url"),
        "deploy.registry.cleanup.project": "deploy.registry.cleanup.namespace",
    }
    obsolete: ClassVar[Mapping[str, str]] = {
        f"deploy.{kept}.persistence.enabled": "is of no use any more: everything is always kept in the database"
        for kept in ("job", "run", "runtime")
    }

    host: str = key("deploy.server.host", "127.0.0.1", doc="Address to listen on")
    port: int = key("deploy.server.port", 7002, doc="Port to listen on", ge=0, le=65535)
    datasource_url: str = key(
        "deploy.datasource.url",
        "sqlite:///funai-deploy.db",
        doc="Database: sqlite:///file, postgresql://user:password@host/db or mysql://user:password@host/db",
    )
    time_zone: str = key(
        "deploy.datasource.time-zone",
        "",
        doc="Zone in which an earlier installation wrote its times, such as Asia/Shanghai; read when its tables are taken over",
    )
    datasource_pool: int = key("deploy.datasource.pool-size", 10, doc="Database connections kept open", ge=1, le=200)
    env_key_file: Path | None = key(
        "funai.env.key-file", None, doc="Key that opens an app's sealed variables; the API's own key file"
    )
    trusted_proxies: CsvList = key(
        "deploy.server.trusted-proxies", [], doc="Addresses or CIDRs of proxies whose X-Forwarded-For counts"
    )

    metrics_allowed_ips: CsvList = metrics_allowed()

    proxy_auth_enabled: bool = key("deploy.proxy-auth.enabled", True, doc="Ask X-DEPLOY-SECRET of /deploy/**")
    proxy_auth_secret: Secret | None = key("deploy.proxy-auth.shared-secret", None, doc="The value of X-DEPLOY-SECRET")
    proxy_auth_allowed_ips: CsvList = key("deploy.proxy-auth.allowed-ips", [], doc="Addresses that may call; empty: all")

    runner_auth_enabled: bool = key(
        "deploy.runner-auth.enabled",
        True,
        doc="Ask X-Runner-Token of runners; false lets in whoever reaches it (older runners have no token)",
    )
    runner_token: Secret | None = key("deploy.runner-auth.token", None, doc="The value of X-Runner-Token that runners share")
    runner_secret: Secret | None = key("deploy.runner-auth.shared-secret", None, doc="The same, named as the other guards' are")
    runner_allowed_ips: CsvList = key("deploy.runner-auth.allowed-ips", [], doc="Addresses runners may call from; empty: any")

    admin_enabled: bool = key("deploy.admin.enabled", True, doc="Serve /admin/**")
    admin_token: Secret | None = key("deploy.admin.token", None, doc="The value of X-Admin-Token")
    admin_allowed_ips: CsvList = key("deploy.admin.allowed-ips", [], doc="Addresses operators may call from; empty: any")

    node_registry_enabled: bool = key("deploy.runtime-node-registry.enabled", True, doc="Accept heartbeats of runtime nodes")
    node_registry_secret: Secret | None = key(
        "deploy.runtime-node-registry.shared-secret", None, doc="The value of X-RT-Node-Token"
    )
    node_registry_allowed_ips: CsvList = key(
        "deploy.runtime-node-registry.allowed-ips", [], doc="Addresses nodes may call from; empty: any"
    )
    edge_secret: Secret | None = key(
        "deploy.edge.shared-secret",
        None,
        doc="The value of X-Edge-Token, for what routes to nodes; unset: credentials of kind `edge` alone are let in",
    )
    edge_allowed_ips: CsvList = key("deploy.edge.allowed-ips", [], doc="Addresses edges may call from; empty: any")

    node_stale_seconds: int = key(
        "deploy.runtime-node-registry.heartbeat-stale-seconds", 60, doc="A node silent for longer is STALE", ge=2, le=86_400
    )
    placement_strategy: PlacementStrategy = key(
        "deploy.runtime-node-registry.placement-strategy", PlacementStrategy.DISK_AWARE, doc="disk-aware or hash"
    )
    disk_free_min_pct: float = key(
        "deploy.runtime-node-registry.disk-free-min-pct", 15, doc="Under this a node takes no deploy at all", ge=0, le=100
    )
    disk_free_drain_pct: float = key(
        "deploy.runtime-node-registry.disk-free-drain-pct", 25, doc="Under this a node takes no new app", ge=0, le=100
    )
    disk_hysteresis_pct: float = key(
        "deploy.runtime-node-registry.disk-hysteresis-pct",
        2,
        doc="A node that fell under a disk mark is past it again only this many points above it",
        ge=0,
        le=20,
    )
    placement_app_bytes: int = key(
        "deploy.runtime-node-registry.placement-app-bytes",
        1024**3,
        doc="What a new app is expected to take of a node's disk until its next heartbeat tells",
        ge=0,
    )

    memory_overcommit: float = key(
        "deploy.runtime-node-registry.memory-overcommit",
        0,
        doc="A node takes no new app that would let its apps ask for more than this many times its memory; 0: no limit",
        ge=0,
        le=1_000,
    )

    walls_enabled: bool = key(
        "deploy.walls.enabled",
        True,
        doc="Hand the nodes the platform's addresses, which apps must not reach: Deploy, its database, the nodes, the registry",
    )
    walls_deny: CsvList = key(
        "deploy.walls.deny",
        [],
        doc="More of them: API, Git, Runners, a second Deploy, databases; `host`, `host:port`, `10.0.0.0/24` or a URL",
    )
    walls_open: CsvList = key(
        "deploy.walls.open", [], doc="What of them apps reach all the same, e.g. the public entry: `host:port`"
    )

    moves_at_once: int = key(
        "deploy.moves.at-once", 4, doc="Apps that move to another node at the same time, in all drains together", ge=1, le=100
    )
    move_drain_seconds: int = key(
        "deploy.moves.drain-seconds",
        30,
        doc="How long an app that moved goes on where it was",
        ge=0,
        le=3600,
    )
    evacuate_seconds: int = key(
        "deploy.moves.evacuate-after-seconds",
        0,
        doc="Apps of a node that is silent for longer are started elsewhere from their release; 0: they wait for it",
        ge=0,
        le=86_400,
    )

    queue_order: QueueOrder = key("deploy.job.order", QueueOrder.FAIR, doc="fair: users take turns; fifo: oldest first")
    max_running_seconds: int = key(
        "deploy.job.max-running-seconds", 0, doc="A job running for longer FAILs with RUN_TIMEOUT; 0: no limit", ge=0
    )
    max_attempts: int = key("deploy.job.max-attempts", 3, doc="Times a job is tried when runners vanish under it", ge=1, le=100)
    retry_backoff_seconds: float = key(
        "deploy.job.retry-backoff-seconds",
        2,
        doc="Wait before the second attempt; doubles with each, up to a minute",
        ge=0,
        le=3600,
    )
    max_waiting_seconds: int = key(
        "deploy.job.max-waiting-seconds", 3600, doc="A job that finds no runtime node for longer FAILs with NO_NODE", ge=1
    )
    keep_per_app: int = key("deploy.job.keep-per-app", 10, doc="Finished jobs kept of each app", ge=1, le=10_000)
    event_keep_days: int = key("deploy.job.event-keep-days", 365, doc="Days the audit trail reaches back", ge=1, le=36_500)
    log_max_bytes: int = key(
        "deploy.job.log-max-bytes", 4 * 1024 * 1024, doc="Bytes kept of one job's log", ge=1024, le=256 * 1024 * 1024
    )
    sweep_seconds: float = key(
        "deploy.job.sweep-seconds", 1, doc="How often lapsed leases are looked for, at least", gt=0, le=60
    )
    poll_ms: int = key(
        "deploy.job.poll-ms",
        900,
        doc="How often one look is taken for waiting runners, hints or not; the same look finds lapsed leases",
        ge=20,
        le=1000,
    )

    runner_stale_seconds: int = key(
        "deploy.runner-registry.heartbeat-stale-seconds",
        90,
        doc="A runner silent for longer shows as not healthy",
        ge=2,
        le=86_400,
    )
    agent_token: Secret | None = key("deploy.runtime-agent.token", None, doc="The value of X-Runtime-Token sent to agents")
    agent_timeout_seconds: float = key(
        "deploy.runtime-agent.timeout-seconds", 10, doc="For one quick call to an agent", gt=0, le=600
    )

    cleanup_enabled: bool = key(
        "deploy.registry.cleanup.enabled", False, doc="Remove images of old releases and of deleted apps from the registry"
    )
    cleanup_kind: RegistryKind = key("deploy.registry.cleanup.kind", RegistryKind.DISTRIBUTION, doc="distribution or harbor")
    cleanup_registry: str = key(
        "deploy.registry.cleanup.registry",
        "",
        doc="The registry's address as images name it (host[:port]); no other is touched",
    )
    cleanup_namespace: str = key("deploy.registry.cleanup.namespace", "funaistudio", doc="Namespace of the apps' repositories")
    cleanup_base_url: str = key(
        "deploy.registry.cleanup.base-url", "", doc="Its URL when that is not https://{registry} (http:// with insecure)"
    )
    cleanup_insecure: bool = key("deploy.registry.cleanup.insecure", False, doc="Speak plain HTTP to it")
    cleanup_username: str = key("deploy.registry.cleanup.username", "", doc="An account that may delete; empty: none")
    cleanup_password: SecretStr = key("deploy.registry.cleanup.password", SecretStr(""), doc="Its password")
    cleanup_keep: int = key("deploy.registry.cleanup.keep", 3, doc="Successful releases kept of each app", ge=1, le=1_000)
    cleanup_interval_seconds: float = key(
        "deploy.registry.cleanup.interval-seconds", 60, doc="How often apps with releases to retire are looked for", gt=0
    )
    cleanup_timeout_seconds: float = key(
        "deploy.registry.cleanup.timeout-seconds", 20, doc="For one call to the registry", gt=0, le=600
    )

    @classmethod
    def translated(cls, given: Mapping[str, str]) -> dict[str, str]:
        """An older file's service listened on all addresses, and cleaned up a project of a Harbor."""
        said: dict[str, str] = {}
        if "server.port" in given:
            said["deploy.server.host"] = "0.0.0.0"  # as the service of that file did
        if zone := zone_of(given.get("deploy.datasource.url") or given.get(SPRING[0], "")):
            said["deploy.datasource.time-zone"] = zone
        if "deploy.registry.cleanup.project" in given:
            where = urlsplit(given.get("deploy.registry.cleanup.base-url", ""))
            said |= {"deploy.registry.cleanup.kind": "harbor", "deploy.registry.cleanup.registry": where.netloc}
            said["deploy.registry.cleanup.insecure"] = str(where.scheme == "http").lower()
        return {**said, **super().translated(given), **datasource(given, "deploy.datasource.url")}

    @property
    def runner_guard(self) -> SecretStr | None:
        """What runners share; None when there is nothing, or nothing is asked."""
        return (self.runner_token or self.runner_secret) if self.runner_auth_enabled else None

    def check_runner_guard(self) -> None:
        """Raises ConfigError: a process that serves has a secret for its runners, or lets all callers in by name."""
        if self.runner_auth_enabled and self.runner_guard is None:
            why = "set it and every runner's RUNNER_TOKEN, or let all callers in with deploy.runner-auth.enabled=false"
            raise ConfigError([f"deploy.runner-auth.token: is not set; {why} where older runners have no token"])

    @model_validator(mode="after")
    def _guards_have_secrets(self) -> Self:
        guards: list[tuple[bool, SecretStr | None, str]] = [
            (self.proxy_auth_enabled, self.proxy_auth_secret, "deploy.proxy-auth.shared-secret"),
            (self.admin_enabled, self.admin_token, "deploy.admin.token"),
            (self.node_registry_enabled, self.node_registry_secret, "deploy.runtime-node-registry.shared-secret"),
        ]
        missing = [name for enabled, secret, name in guards if enabled and secret is None]
        if missing:
            raise ConfigError([f"{name}: is not set; set it, or switch its calls off with …enabled=false" for name in missing])
        if self.disk_free_min_pct > self.disk_free_drain_pct:
            raise ValueError("disk-free-min-pct is above disk-free-drain-pct")
        if 0 < self.evacuate_seconds < self.node_stale_seconds:
            raise ValueError("deploy.moves.evacuate-after-seconds is under heartbeat-stale-seconds")
        if self.cleanup_enabled and not self.cleanup_registry:
            raise ConfigError(["deploy.registry.cleanup.registry: is not set; set it, or leave cleanup.enabled=false"])
        return self
