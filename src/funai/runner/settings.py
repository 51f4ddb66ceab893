"""Settings of a Runner: the contract's environment names, and the limits a build lives under."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from funai.base.config.settings import CsvList, Secret, Settings, key, metrics_allowed
from funai.dockerfile.images import check_base_prefixes
from funai.runner.sandbox.net.fence import split_place

GIB = 1024**3
MIB = 1024**2


def _pull_policy(value: object) -> object:
    """Older installations wrote a boolean: true meant a pull before each build."""
    if isinstance(value, bool) or str(value).lower() in ("true", "false", "1", "0", "yes", "no"):
        return "always" if str(value).lower() in ("true", "1", "yes") else "missing"
    return str(value).lower()


PullPolicy = Annotated[str, BeforeValidator(_pull_policy), Field(pattern=r"^(missing|always|never)$")]


def _own_network(value: str) -> str:
    """The host's own network, or another container's, is the platform's: a tenant's step has no place there."""
    if value == "host" or not re.fullmatch(r"[A-Za-z0-9_.-]*", value):
        raise ValueError("must be the name of an engine network other than host")
    return value


def _places(value: list[str]) -> list[str]:
    for place in value:
        split_place(place)
    return value


BuildNetwork = Annotated[str, AfterValidator(_own_network)]


BasePrefixes = Annotated[CsvList, AfterValidator(check_base_prefixes)]


def _own_name() -> str:
    return f"runner-{socket.gethostname()}"


class RunnerSettings(Settings):
    title: ClassVar[str] = "Runner"
    older: ClassVar[Mapping[str, str]] = {"ACR_USERNAME": "REGISTRY_USERNAME", "ACR_PASSWORD": "REGISTRY_PASSWORD"}

    deploy_base_url: str = key("DEPLOY_BASE_URL", "http://127.0.0.1:7002", doc="The Deploy control plane")
    runner_id: str = key(
        "RUNNER_ID",
        default_factory=_own_name,
        doc="Stable name of this runner, unique among runners",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,127}$",
    )
    runner_token: SecretStr | None = key("RUNNER_TOKEN", None, doc="Sent as X-Runner-Token; what Deploy is configured with")
    lease_seconds: int = key("JOB_LEASE_SECONDS", 30, doc="Lease of a claimed job, in seconds", ge=5, le=600)
    poll_seconds: float = key(
        "POLL_SECONDS", 3, doc="Pause between claims with a Deploy that does not hold them open", gt=0, le=60
    )
    claim_wait_seconds: float = key("RUNNER_CLAIM_WAIT_SECONDS", 45, doc="How long Deploy may hold a claim open", ge=0, le=50)
    heartbeat_seconds: float = key(
        "RUNNER_HEARTBEAT_SECONDS", 0.75, doc="Pause between heartbeats; a cancel is seen within it", gt=0, le=30
    )
    slots: int = key("RUNNER_SLOTS", 2, doc="Jobs worked on at the same time", ge=1, le=64)
    labels: CsvList = key("RUNNER_LABELS", [], doc="Labels sent with each claim")
    stop_seconds: float = key("RUNNER_STOP_SECONDS", 120, doc="At a stop, jobs in hand get this long before they go back", ge=0)

    metrics_allowed_ips: CsvList = metrics_allowed()
    metrics_host: str = key("RUNNER_METRICS_HOST", "127.0.0.1", doc="Address of /metrics and /internal/health")
    metrics_port: int = key("RUNNER_METRICS_PORT", 0, doc="Their port; 0: a Runner listens nowhere", ge=0, le=65535)

    agent_token: Secret = key("RUNTIME_AGENT_TOKEN", doc="Sent as X-Runtime-Token to runtime-agents")
    deploy_seconds: float = key("RUNNER_DEPLOY_SECONDS", 300, doc="Roll-out on the agent takes at most this long", gt=0)
    health_seconds: float = key(
        "RUNNER_HEALTH_SECONDS", 60, doc="An app must answer within this time after its start", ge=1, le=600
    )

    ssh_key_path: Path | None = key("GIT_SSH_KEY_PATH", None, doc="The runner's read-only private SSH key")
    known_hosts_path: Path | None = key("GIT_KNOWN_HOSTS_PATH", None, doc="known_hosts with the Git server's pinned key")
    clone_seconds: float = key("RUNNER_CLONE_SECONDS", 300, doc="Fetching a repository takes at most this long", gt=0)
    max_source_bytes: int = key("RUNNER_MAX_SOURCE_BYTES", 1 * GIB, doc="Largest checked-out source tree, and Git pack", ge=MIB)
    workdir: Path = key("RUNNER_WORKDIR", Path("/var/lib/funai/runner"), doc="Mirrors, worktrees and temporary files of builds")

    engine: str = key("RUNNER_DOCKER_BIN", "podman", doc="The container engine's command: a podman or docker")
    pull: PullPolicy = key("RUNNER_DOCKER_BUILD_PULL", "missing", doc="Base images: missing, always or never (true = always)")
    build_network: BuildNetwork = key(
        "RUNNER_BUILD_NETWORK", "", doc="Engine network of RUN steps, never host; empty: its default"
    )
    sandbox: str = key(
        "RUNNER_SANDBOX",
        "on",
        doc="on: each build has namespaces, network and store of its own; off: one trusted user",
        pattern=r"^(on|off)$",
    )
    allowed_places: Annotated[CsvList, AfterValidator(_places)] = key(
        "RUNNER_BUILD_ALLOW",
        [],
        doc="Private places that builds may reach all the same: host, host:port, network/bits[:port]",
    )
    machine_images: CsvList = key(
        "RUNNER_MACHINE_IMAGES",
        ["docker.io/library/*", "localhost/*"],
        doc="Full names (* matches anything) of images of the machine's engine that builds may stand on without a pull",
    )
    bases_dir: Path | None = key("RUNNER_BASES_DIR", None, doc="Where base images are kept; empty: base-stores in the work dir")
    build_seconds: float = key("RUNNER_BUILD_SECONDS", 900, doc="A build takes at most this long", gt=0)
    build_memory_bytes: int = key(
        "RUNNER_BUILD_MEMORY_BYTES", 2 * GIB, doc="Memory of a build's RUN steps together", ge=16 * MIB
    )
    build_cpus: float = key("RUNNER_BUILD_CPUS", 1.5, doc="CPUs of a build's RUN steps", gt=0)
    build_pids: int = key("RUNNER_BUILD_PIDS", 1024, doc="Processes and threads of a build's RUN steps", ge=16)
    build_files: int = key("RUNNER_BUILD_FILES", 65_536, doc="Files a process of a RUN step may have open", ge=256)
    build_disk_bytes: int = key("RUNNER_BUILD_DISK_BYTES", 8 * GIB, doc="Disk a build may write in all its steps", ge=MIB)
    build_output_bytes: int = key("RUNNER_BUILD_OUTPUT_BYTES", 16 * MIB, doc="Output a build may print", ge=64 * 1024)
    cgroup_parent: str = key(
        "RUNNER_CGROUP",
        "funai-builds",
        doc="Control group above those of the builds; empty: none",
        pattern=r"^[A-Za-z0-9_.-]*$",
    )

    registry: str = key("ACR_REGISTRY", "", doc="Registry (host[:port]) where a payload names none")
    namespace: str = key("ACR_NAMESPACE", "funaistudio", doc="Namespace where a payload names none")
    registry_username: str = key("REGISTRY_USERNAME", "", doc="Registry login; used for ACR_REGISTRY alone")
    registry_password: SecretStr | None = key("REGISTRY_PASSWORD", None, doc="Its password")
    insecure_registries: CsvList = key(
        "RUNNER_INSECURE_REGISTRIES", [], doc="Registries spoken to over plain HTTP; loopback always is"
    )
    private_registries: CsvList = key(
        "RUNNER_PRIVATE_REGISTRIES", [], doc="Registries (host[:port]) at private addresses that apps may build on"
    )
    base_images: BasePrefixes = key(
        "RUNNER_BASE_IMAGES", [], doc="Prefixes of the platform's base images, `registry/namespace/base-`; the API reads it too"
    )
    push_seconds: float = key("RUNNER_PUSH_SECONDS", 600, doc="A push takes at most this long", gt=0)
    retry_seconds: float = key("RUNNER_RETRY_SECONDS", 45, doc="Git, registry or agent away: tried again for this long", ge=0)

    npm_registry: str = key("NPM_REGISTRY", "", doc="Build argument NPM_REGISTRY; empty: npm's own default")
    debian_mirror: str = key(
        "FUNAI_DEBIAN_MIRROR",
        "",
        doc="Debian mirror of builds that need OpenSSL or compilers (http://host/debian); empty: deb.debian.org",
        pattern=r"^(https?://[A-Za-z0-9.:_/\[\]-]+)?$",
    )
    ca_file: Path | None = key(
        "RUNNER_BUILD_CA", None, doc="Extra certificate authorities (PEM) that builds trust; never in the image"
    )

    disk_high_pct: float = key("RUNNER_DISK_HIGH_PCT", 85, doc="Disk use that starts the eviction of caches", ge=1, le=100)
    disk_low_pct: float = key("RUNNER_DISK_LOW_PCT", 75, doc="Disk use at which eviction ends", ge=1, le=100)
    min_free_bytes: int = key(
        "RUNNER_MIN_FREE_BYTES", 256 * MIB, doc="With less free in the work dir the Runner claims nothing and hands back", ge=0
    )
    cache_bytes: int = key("RUNNER_CACHE_BYTES", 20 * GIB, doc="Git mirrors together stay under this", ge=MIB)
    cache_images: int = key("RUNNER_CACHE_IMAGES", 300, doc="Build layers and images of the engine kept as cache", ge=1)
    app_cache_bytes: int = key(
        "RUNNER_APP_CACHE_BYTES", 2 * GIB, doc="Build caches of one app (packages, Next's) together stay under this", ge=MIB
    )
    app_cache_days: float = key("RUNNER_APP_CACHE_DAYS", 14, doc="A build cache that no build wrote for so long goes", gt=0)
    clean_seconds: float = key("RUNNER_CLEAN_SECONDS", 300, doc="Pause between checks of the watermarks", gt=0)
