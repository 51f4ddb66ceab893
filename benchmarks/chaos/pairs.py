"""PostgreSQL with two of each service, each a process of its own by ``funai serve``, as several machines have it.

Two Deploys and two APIs behind a load balancer, two Runners, two agents with a gateway and an engine API each; one Git
server and one registry. Whatever ends is started again, as systemd does it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.chaos.disks import keep_logs, scratch, small_disk
from benchmarks.chaos.faults import Part
from benchmarks.chaos.processes import children_of, processes
from funai.base.process.proc import base_environment
from funai.contracts.reasons import FailureCode
from funai.git.server import known_hosts_line
from funai.standalone.layout import Secrets, ensure_key, load_secrets
from funai.standalone.parts import registry as own_registry
from funai.standalone.parts.engine import EngineChoice
from funai.standalone.up import SYSTEM_REGISTRIES
from tests.e2e.up.world import Platform
from tests.parts.daemon import Daemon
from tests.parts.databases import Postgres
from tests.parts.registry import Registry
from tests.parts.waiting import free_port, tcp_answers, unix_answers

BOTH = (1, 2)
MARK = f"chaos{os.getpid()}n"
"""Begins the instance of each node."""
RUNNER_DISK, DATABASE_DISK = "2500m", "600m"
BALANCER = """
global
  maxconn 2000
defaults
  mode http
  timeout connect 1s
  timeout client 120s
  timeout server 120s
  timeout check 800ms
  retries 2
  option redispatch
  option httpchk GET /internal/health
  default-server check inter 300ms fall 2 rise 1 on-marked-down shutdown-sessions
"""


@dataclass
class Pairs(Platform):
    """``ports.api`` and ``ports.deploy`` are the load balancer's."""

    daemons: dict[str, Daemon] = field(default_factory=dict[str, Daemon])
    own: dict[str, int] = field(default_factory=dict[str, int])
    """Each service's port."""

    def start(self, *extra: str) -> None:
        """Start everything and wait until it serves."""
        assert not extra, "services take their settings from the environment"
        self.layout.make()
        secrets, _ = load_secrets(self.layout.secrets_file)
        self.own |= {f"{kind}-{n}": free_port() for kind in ("api", "deploy", "agent", "gateway") for n in BOTH}
        database, registry = self._stores()
        environment = self._environment(secrets, database, registry)
        for n in BOTH:
            self._engine(n)
        self._balancer()
        for kind in ("api", "deploy", "git", "agent", "runner"):
            for n in (1,) if kind == "git" else BOTH:
                self._service(kind, n, {**environment["all"], **environment[kind], **self._of(kind, n)})

    def _stores(self) -> tuple[Postgres, Registry]:
        """PostgreSQL and the registry, running."""
        (self.data_dir / "pg").mkdir(exist_ok=True)
        (self.data_dir / "pg").chmod(0o711)
        self.data_dir.chmod(0o711)
        database = Postgres(self.data_dir / "pg")
        database.create()
        for name in ("api", "deploy"):
            database.create_database(name)
        registry = Registry(self.data_dir, port=self.ports.registry)
        registry.start()
        self.daemons |= {"database": database, "registry": registry}
        return database, registry

    def _environment(self, s: Secrets, database: Postgres, registry: Registry) -> Mapping[str, Mapping[str, str]]:
        """What services of a kind have in common."""
        lay, say = self.layout, {name: value.get_secret_value() for name, value in s}
        public = ensure_key(lay.runner_key, "funai runner")
        lay.known_hosts.write_text(known_hosts_line(lay.git_host_key, "127.0.0.1", self.ports.git))
        lay.registries_conf.write_text(own_registry.registries_conf(SYSTEM_REGISTRIES, self.ports.registry))
        return {
            "all": {**base_environment(), "HOME": str(self.data_dir), "FUNAI_LANG": "en"},
            "deploy": self._for_deploy(say, database),
            "api": self._for_api(say, database, registry, public),
            "git": {
                "GIT_REPOS_DIR": str(lay.git),
                "GIT_HOST_KEY_PATH": str(lay.git_host_key),
                "API_BASE_URL": f"http://127.0.0.1:{self.ports.api}",
                "GIT_PORT": str(self.ports.git),
                "GIT_INTERNAL_TOKEN": say["git"],
            },
            "runner": self._for_runner(say, registry),
            "agent": self._for_agent(say, registry),
        }

    @property
    def _deploy_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.deploy}"

    @property
    def _engine_environment(self) -> dict[str, str]:
        return {**self.engine.environment, "CONTAINERS_REGISTRIES_CONF": str(self.layout.registries_conf)}

    def _for_deploy(self, say: Mapping[str, str], database: Postgres) -> dict[str, str]:
        return {
            "DEPLOY_PROXY_AUTH_SHARED_SECRET": say["deploy"],
            "DEPLOY_RUNNER_AUTH_TOKEN": say["runner"],
            "DEPLOY_ADMIN_TOKEN": say["operator"],
            "DEPLOY_RUNTIME_NODE_REGISTRY_SHARED_SECRET": say["node"],
            "DEPLOY_RUNTIME_NODE_REGISTRY_DISK_FREE_MIN_PCT": "1",
            "DEPLOY_RUNTIME_NODE_REGISTRY_DISK_FREE_DRAIN_PCT": "2",
            "DEPLOY_RUNTIME_AGENT_TOKEN": say["agent"],
            "DEPLOY_DATASOURCE_URL": database.url("deploy"),
            "FUNAI_ENV_KEY_FILE": str(self.layout.seal_key),
        }

    def _for_api(self, say: Mapping[str, str], database: Postgres, registry: Registry, public: str) -> dict[str, str]:
        return {
            "JWT_SECRET": say["jwt"],
            "DEPLOY_PROXY_BASE_URL": self._deploy_url,
            "DEPLOY_PROXY_SHARED_SECRET": say["deploy"],
            "DEPLOY_PROXY_ADMIN_TOKEN": say["operator"],
            "DEPLOY_GIT_SSH_PORT": str(self.ports.git),
            "FUNAI_GIT_INTERNAL_TOKEN": say["git"],
            "FUNAI_GIT_RUNNER_PUBLIC_KEY": public,
            "DEPLOY_ACR_REGISTRY": registry.address,
            "FUNAI_API_DATASOURCE_URL": database.url("api"),
            "FUNAI_ENV_KEY_FILE": str(self.layout.seal_key),
        }

    def _for_runner(self, say: Mapping[str, str], registry: Registry) -> dict[str, str]:
        return {
            **self._engine_environment,
            "DEPLOY_BASE_URL": self._deploy_url,
            "RUNNER_TOKEN": say["runner"],
            "RUNTIME_AGENT_TOKEN": say["agent"],
            "GIT_SSH_KEY_PATH": str(self.layout.runner_key),
            "GIT_KNOWN_HOSTS_PATH": str(self.layout.known_hosts),
            "RUNNER_DOCKER_BIN": self.engine.binary,
            "JOB_LEASE_SECONDS": "15",
            "ACR_REGISTRY": registry.address,
        }

    def _for_agent(self, say: Mapping[str, str], registry: Registry) -> dict[str, str]:
        return {
            **self._engine_environment,
            "RUNTIME_AGENT_TOKEN": say["agent"],
            "DEPLOY_BASE_URL": self._deploy_url,
            "DEPLOY_NODE_TOKEN": say["node"],
            "DEPLOY_HEARTBEAT_SECONDS": "2",
            "REGISTRY_URL": registry.address,
            "GATEWAY_PROBE_SECRET": say["probe"],
            "GATEWAY_STOP_WITH_AGENT": "true",
            "GATEWAY_KEEPER": "true",
            "GATEWAY_HOST": "127.0.0.1",
        }

    def _of(self, kind: str, n: int) -> dict[str, str]:
        """What one service has for itself."""
        own = str(self.own.get(f"{kind}-{n}", 0))
        if kind == "runner":
            return {"RUNNER_ID": f"runner-{n}", "RUNNER_WORKDIR": str(self.data_dir / f"work-{n}")}
        if kind == "agent":
            gateway = self.own[f"gateway-{n}"]
            return {
                "RUNTIME_AGENT_PORT": own,
                "RUNTIME_NODE_NAME": f"node-{n}",
                "RUNTIME_INSTANCE": f"{MARK}{n}",
                "RUNTIME_NODE_AGENT_BASE_URL": f"http://127.0.0.1:{own}",
                "GATEWAY_PORT": str(gateway),
                "RUNTIME_NODE_GATEWAY_BASE_URL": f"http://127.0.0.1:{gateway}",
                "GATEWAY_DATA_DIR": str(self.data_dir / f"gw{n}"),
                "RUNTIME_STATE_DIR": str(self.data_dir / f"agent-{n}"),
                "RUNTIME_ENGINE_SOCKET": str(self._socket(n)),
                "RUNTIME_APP_SUBNETS": f"10.{204 + 4 * n}.0.0/14",
            }
        return {"api": {"FUNAI_API_PORT": own, "FUNAI_API_HOST": "127.0.0.1"}, "deploy": {"DEPLOY_SERVER_PORT": own}}.get(
            kind, {}
        )

    def _socket(self, n: int) -> Path:
        return self.engine.socket or self.data_dir / f"engine-{n}.sock"

    def _engine(self, n: int) -> None:
        """Podman's API of one node; Docker's is the machine's own."""
        command = self.engine.service(self._socket(n))
        if command:
            env = {**base_environment(), **(command.env or {}), "CONTAINERS_REGISTRIES_CONF": str(self.layout.registries_conf)}
            self._run(f"engine-{n}", list(command.argv), env, lambda: unix_answers(self._socket(n)))

    def _balancer(self) -> None:
        text = BALANCER
        for kind, port in (("api", self.ports.api), ("deploy", self.ports.deploy)):
            text += f"listen {kind}\n  bind 127.0.0.1:{port}\n"
            text += "".join(f"  server {kind}-{n} 127.0.0.1:{self.own[f'{kind}-{n}']}\n" for n in BOTH)
        conf = self.data_dir / "balancer.cfg"
        conf.write_text(text)
        haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin") or "haproxy"
        self._run("balancer", [haproxy, "-db", "-f", str(conf)], base_environment(), lambda: tcp_answers(self.ports.api))

    def _service(self, kind: str, n: int, env: Mapping[str, str]) -> None:
        port = self.ports.git if kind == "git" else self.own.get(f"{kind}-{n}")
        name = kind if kind == "git" else f"{kind}-{n}"
        log = self.data_dir / f"{name}.log"
        argv = [str(Path(sys.executable).with_name("funai")), "serve", kind]
        self._run(name, argv, env, lambda: tcp_answers(port) if port else b"runner.started" in log.read_bytes())

    def _run(self, name: str, argv: Sequence[str], env: Mapping[str, str], ready: Callable[[], bool]) -> None:
        daemon = Daemon(name, argv, log=self.data_dir / f"{name}.log", ready=ready, env=env, start_seconds=180)
        daemon.start()
        self.daemons[name] = daemon

    def pids(self, name: str) -> list[int]:
        """The process itself; of PostgreSQL its children too."""
        daemon = self.daemons[name]
        if not daemon.running:
            return []
        return [daemon.pid, *(children_of(daemon.pid) if name == "database" else [])]

    def ended(self) -> list[str]:
        """What runs no more; started again."""
        gone = [name for name, daemon in self.daemons.items() if not daemon.running]
        for name in gone:
            self.revive(name)
        return gone

    def revive(self, name: str) -> None:
        self.daemons[name].kill()
        self.daemons[name].start()

    def supervise(self, name: str) -> None:
        """Start it again if it ended, as what supervises a service does."""
        if not self.daemons[name].running:
            self.revive(name)

    def destroy(self) -> None:
        """Stop it and remove what it made: containers, networks, images, folders."""
        for daemon in reversed(self.daemons.values()):
            daemon.stop()
        if containers := self._ours("ps", "--all", "--format", "{{.Names}}"):
            self._cli("rm", "--force", "--time", "0", *containers)
        if networks := self._ours("network", "ls", "--format", "{{.Name}}"):
            self._cli("network", "rm", "--force", *networks)
        self._remove_images()

    def _ours(self, *listing: str) -> list[str]:
        return [name for name in self._cli(*listing).split() if MARK in name]

    def _cli(self, *words: str) -> str:
        env = {**os.environ, **self.engine.environment}
        return subprocess.run(
            [self.engine.binary, *words], env=env, capture_output=True, text=True, check=False, timeout=120
        ).stdout


PARTS: tuple[tuple[str, frozenset[FailureCode]], ...] = (
    ("api", frozenset()),
    ("deploy", frozenset()),
    ("runner", frozenset()),
    ("agent", frozenset({FailureCode.AGENT_UNREACHABLE})),
    ("engine", frozenset({FailureCode.ENGINE_FAILED})),
)
"""What there are two of, and what a job may fail of while one suffers. A fault of seconds is to be outlived."""


@contextmanager
def pairs(engine: EngineChoice, logs: Path | None) -> Iterator[tuple[Pairs, Sequence[Part]]]:
    """A platform of two of each, a Runner's work dir and the database on small disks of their own, and its parts."""
    with scratch() as folder:
        data = folder / "data"
        platform = Pairs(data, engine)
        with small_disk(data / "work-1", RUNNER_DISK) as work, small_disk(data / "pg", DATABASE_DISK) as database:
            disks = {**({"work-1": data / "work-1"} if work else {}), **({"pg": data / "pg"} if database else {})}
            try:
                platform.start()
                yield platform, parts_of(platform, disks)
            finally:
                keep_logs(folder, logs)
                platform.destroy()


def parts_of(platform: Pairs, disks: Mapping[str, Path]) -> list[Part]:
    def part(name: str, port: int, allowed: frozenset[FailureCode]) -> Part:
        return Part(name, lambda: platform.pids(name), revive=lambda: platform.revive(name), port=port, allowed=allowed)

    def gateway(n: int) -> Part:
        own = str(platform.data_dir / f"gw{n}")
        return Part(
            f"gateway-{n}", lambda: processes("haproxy", own), serves=True, allowed=frozenset({FailureCode.GATEWAY_FAILED})
        )

    twice = [
        part(f"{kind}-{n}", platform.own.get(f"{kind}-{n}", 0), allowed)
        for kind, allowed in PARTS
        for n in BOTH
        if f"{kind}-{n}" in platform.daemons
    ]
    once = [
        part("git", platform.ports.git, frozenset()),
        part("registry", platform.ports.registry, frozenset()),
        part("database", platform.daemons["database"].port, frozenset()),  # type: ignore[attr-defined]
    ]
    # PostgreSQL ends itself where it can't write its log.
    supervised = {"pg": lambda: platform.supervise("database")}
    full = [Part(f"disk {name}", list[int], revive=supervised.get(name), disk=path) for name, path in disks.items()]
    return [*twice, *once, *map(gateway, BOTH), *full]
