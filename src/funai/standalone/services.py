"""The rooms of one machine as values: each one's settings, made from options, layout, secrets and engine.

The plan's order is the order of teardown: the runner first, while Deploy still answers it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from funai.agent import main as runtime
from funai.agent.settings import RuntimeSettings
from funai.api import main as api
from funai.api.settings import ApiSettings
from funai.base.aio import bind, serving, serving_https
from funai.base.db.engine import sqlite_url
from funai.base.files import write_whole
from funai.base.home import home
from funai.base.observability import log
from funai.contracts.errors import ConfigError
from funai.deploy import main as deploy
from funai.deploy.settings import DeploySettings
from funai.gateway.settings import GatewaySettings
from funai.gateway.tls.certs import self_signed
from funai.git import main as git
from funai.git.repos import BareRepositories
from funai.git.server import known_hosts_line
from funai.git.settings import GitSettings
from funai.runner import main as runner
from funai.runner.settings import RunnerSettings
from funai.standalone.layout import FIRST_ADMIN, Layout, Secrets
from funai.standalone.options import CONTAINER, EMBEDDED, LOOPBACK, NONE, Tls, UpOptions, default_data_dir
from funai.standalone.parts import base_image, registry
from funai.standalone.parts.engine import EngineChoice

NAMESPACE = "funaistudio"
OPEN_NAMESPACE = "library"
"""Images an operator pushes here may be deployed by anybody."""
NODE = "local"
DRAIN_PCT, MIN_PCT, HYSTERESIS_PCT = 4.0, 2.0, 1.0
"""A single machine has no other node to send an app to, so it goes on until its disk is nearly full."""

LEASE_SECONDS = 15
"""The runner beats every second and dies with the rest: after a kill -9 a job goes on this long after it stopped."""


S = TypeVar("S")


@dataclass(frozen=True)
class Room:
    name: str
    serve: Callable[[asyncio.Event], Awaitable[None]]
    finishes_work: bool = False
    """True when a stop may take as long as the running work."""


Plan = tuple[Room, ...]


@dataclass(frozen=True)
class AppServers:
    """URLs of the servers on which apps get databases, with the platform's account; None: there is none of that kind."""

    postgres: str | None = None
    mongo: str | None = None


def named_servers(options: UpOptions) -> AppServers:
    """The servers that run elsewhere, as the options name them."""
    return AppServers(
        None if options.postgres in (EMBEDDED, NONE) else options.postgres,
        None if options.mongo in ("", CONTAINER) else options.mongo,
    )


def plan(
    options: UpOptions,
    layout: Layout,
    secrets: Secrets,
    engine: EngineChoice,
    socket: Path,
    runner_public_key: str,
    servers: AppServers = AppServers(),
) -> Plan:
    """Every room with its settings, all of them read before anything starts. Raises ConfigError with every problem.

    Also pins the Git server's host key for the runner.
    """
    write_whole(layout.known_hosts, known_hosts_line(layout.git_host_key, options.public_host, options.ports.git))
    problems: list[str] = []

    def read(settings: Callable[[], S]) -> S | None:
        try:
            return settings()
        except ConfigError as e:
            problems.extend(e.problems)
            return None

    at_runner = read(lambda: runner_settings(options, layout, secrets, engine))
    at_git = read(lambda: git_settings(options, layout, secrets))
    at_api = read(lambda: api_settings(options, layout, secrets, runner_public_key))
    at_agent = read(lambda: runtime_settings(options, layout, secrets, engine, socket, servers))
    at_gateway = read(lambda: gateway_settings(options, layout, secrets))
    at_deploy = read(lambda: deploy_settings(options, layout, secrets))
    if not (at_runner and at_git and at_api and at_agent and at_gateway and at_deploy):
        raise ConfigError(problems)
    return (
        Room(
            "runner",
            lambda stop: runner.serve(at_runner, stop, partial(make_node, engine, at_runner.debian_mirror)),
            finishes_work=True,
        ),
        Room("git", lambda stop: git.serve(at_git, stop)),
        Room("api", lambda stop: _serve_api(at_api, options, layout, secrets, stop)),
        Room("runtime-agent", lambda stop: runtime.serve(at_agent, at_gateway, stop)),
        Room("deploy", lambda stop: deploy.serve(at_deploy, stop)),
    )


async def make_node(engine: EngineChoice, mirror: str, major: int) -> bool:
    """Make the base image with this Node for builds; False, with a word in the log, when it can't be made."""
    try:
        if not await base_image.present(engine, major):
            await base_image.make(engine, major=major, mirror=mirror)
    except base_image.NoBaseImage as e:
        log.get("up").warning("base_image.failed", node=major, error=str(e))
        return False
    return True


async def _serve_api(settings: ApiSettings, options: UpOptions, layout: Layout, secrets: Secrets, stop: asyncio.Event) -> None:
    """The API with this machine's own repositories, and its first admin; over HTTPS too where there is a certificate."""
    own_url = api.own_url(settings, settings.port)
    app = api.build(settings, repo_host=BareRepositories(layout.git), stop=stop, own_url=own_url)
    await api.ensure_admin(app, FIRST_ADMIN, secrets.admin_password.get_secret_value())
    async with AsyncExitStack() as doors:
        await doors.enter_async_context(serving(app, bind(settings.host, settings.port)))
        if tls := options.tls:
            await doors.enter_async_context(
                serving_https(app, bind(options.host, tls.api_port), *certificate_files(options, tls, layout), stop)
            )
        await stop.wait()


def certificate_files(options: UpOptions, tls: Tls, layout: Layout) -> tuple[Path, Path]:
    """(chain, key). The authority's, which the gateway keeps in one file, is stood in for until it is there."""
    if tls.certificate and tls.key:
        return tls.certificate, tls.key
    file = layout.gateway / "acme" / "certificates" / f"{options.public_host}.pem"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(file, self_signed(datetime.now(UTC)))
    return file, file


def gateway_certificates(tls: Tls, layout: Layout) -> Path | None:
    """The folder that the gateway watches, with links to the operator's files; None where there are none."""
    if tls.certificate is None or tls.key is None:
        return None
    folder = layout.gateway / "certificates"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, file in (("funai.crt", tls.certificate), ("funai.key", tls.key)):
        link, target = folder / name, file.absolute()
        if not link.is_symlink() or link.readlink() != target:
            link.unlink(missing_ok=True)
            link.symlink_to(target)
    return folder


def api_settings(options: UpOptions, layout: Layout, secrets: Secrets, runner_public_key: str) -> ApiSettings:
    return options.given.load(
        ApiSettings,
        {
            "host": options.api_host,
            "port": options.ports.api,
            "datasource_url": sqlite_url(layout.api_db),
            "jwt_secret": secrets.jwt,
            "deploy_base_url": options.deploy_url,
            "deploy_secret": secrets.deploy,
            "deploy_admin_token": secrets.operator,
            "git_ssh_host": options.public_host,
            "git_ssh_port": options.ports.git,
            "git_internal_token": secrets.git,
            "git_runner_public_key": runner_public_key,
            "acr_registry": options.registry_address,
            "acr_namespace": NAMESPACE,
            "env_key_file": layout.seal_key,
            **({"console_https": True} if options.tls else {}),
        },
        {
            "image_namespaces": [f"{options.registry_address}/{OPEN_NAMESPACE}"],
        },
    )


def deploy_settings(options: UpOptions, layout: Layout, secrets: Secrets) -> DeploySettings:
    return options.given.load(
        DeploySettings,
        {
            "host": LOOPBACK,
            "port": options.ports.deploy,
            "datasource_url": sqlite_url(layout.deploy_db),
            "env_key_file": layout.seal_key,
            "proxy_auth_secret": secrets.deploy,
            "runner_token": secrets.runner,
            "admin_token": secrets.operator,
            "node_registry_secret": secrets.node,
            "agent_token": secrets.agent,
            "cleanup_enabled": True,
            "cleanup_registry": options.registry_address,
            "cleanup_namespace": NAMESPACE,
            "cleanup_insecure": True,
            "cleanup_username": registry.USER,
            "cleanup_password": secrets.registry_password,
        },
        {
            "disk_free_drain_pct": DRAIN_PCT,
            "disk_free_min_pct": MIN_PCT,
            "disk_hysteresis_pct": HYSTERESIS_PCT,
        },
    )


def git_settings(options: UpOptions, layout: Layout, secrets: Secrets) -> GitSettings:
    return options.given.load(
        GitSettings,
        {
            "host": options.host,
            "port": options.ports.git,
            "repos_dir": layout.git,
            "host_key_path": layout.git_host_key,
            "api_base_url": options.api_url,
            "internal_token": secrets.git,
        },
    )


def runner_settings(options: UpOptions, layout: Layout, secrets: Secrets, engine: EngineChoice) -> RunnerSettings:
    return options.given.load(
        RunnerSettings,
        {
            "deploy_base_url": options.deploy_url,
            "runner_id": "runner-local",
            "runner_token": secrets.runner,
            "metrics_port": options.ports.runner,
            "slots": options.slots,
            "stop_seconds": options.grace_seconds,
            "agent_token": secrets.agent,
            "ssh_key_path": layout.runner_key,
            "known_hosts_path": layout.known_hosts,
            "workdir": layout.runner,
            "build_network": build_network(options),
            "engine": engine.binary,
            "registry": options.registry_address,
            "namespace": NAMESPACE,
            "registry_username": registry.USER,
            "registry_password": secrets.registry_password,
        },
        {
            "metrics_host": LOOPBACK,
            "lease_seconds": LEASE_SECONDS,
        },
    )


def gateway_settings(options: UpOptions, layout: Layout, secrets: Secrets) -> GatewaySettings:
    return options.given.load(
        GatewaySettings,
        {
            "host": options.host,
            "port": options.ports.gateway,
            "data_dir": layout.gateway,
            "wildcard_domain": options.apps_domain,
            "probe_secret": secrets.probe,
            "stop_with_agent": True,
            "keeper": True,
            **_gateway_https(options, layout),
        },
    )


def _gateway_https(options: UpOptions, layout: Layout) -> dict[str, object]:
    """A port alone switches no HTTPS on: plain requests would be redirected to a self-signed certificate."""
    if options.tls:
        return _gateway_tls(options, options.tls, layout)
    return {} if "GATEWAY_TLS_DIR" in options.given.environ else {"https_port": 0}


def _gateway_tls(options: UpOptions, tls: Tls, layout: Layout) -> dict[str, object]:
    own = {"own_hosts": [options.public_host]} if tls.by_acme else {"tls_dir": gateway_certificates(tls, layout)}
    return {"https_port": tls.port, **own}


def runtime_settings(
    options: UpOptions,
    layout: Layout,
    secrets: Secrets,
    engine: EngineChoice,
    socket: Path,
    servers: AppServers = AppServers(),
) -> RuntimeSettings:
    return options.given.load(
        RuntimeSettings,
        {
            "host": LOOPBACK,
            "port": options.ports.agent,
            "token": secrets.agent,
            "node_name": NODE,
            "node_agent_base_url": options.agent_url,
            "node_gateway_base_url": options.gateway_url,
            "deploy_base_url": options.deploy_url,
            "deploy_node_token": secrets.node,
            "docker_bin": engine.kind,
            "engine_socket": str(socket),
            "instance": instance(options),
            "build_network": build_network(options),
            "state_dir": str(layout.agent),
            "registry_url": options.registry_address,
            "registry_username": registry.USER,
            "registry_password": secrets.registry_password,
        },
        database_defaults(options, servers),
    )


def database_defaults(options: UpOptions, servers: AppServers) -> dict[str, object]:
    """Where apps get databases. They go with their app; names carry the instance where a server may serve two platforms."""
    part = f"{instance(options)}_" if instance(options) else ""
    template = f"db_{part}u{{userId}}_a{{appId}}"
    found: dict[str, object] = {"postgres_drop_on_delete": True, "mongo_drop_on_delete": True}
    if servers.postgres:
        own = options.postgres == EMBEDDED
        found |= {"postgres_url": servers.postgres, **({} if own else {"postgres_db_template": template})}
    if servers.mongo:
        own, url = options.mongo == CONTAINER, urlsplit(servers.mongo)
        found |= {"mongo_host": url.hostname, "mongo_port": url.port or 27017}
        found |= {} if own else {"mongo_db_template": template}
        source = parse_qs(url.query).get("authSource", ["admin"])[0]
        if url.username:
            login = {"mongo_username": unquote(url.username), "mongo_password": unquote(url.password or "")}
            found |= {**login, "mongo_auth_source": source, "mongo_per_app_users": True}
    return found


def build_network(options: UpOptions) -> str:
    """Where builds run: a network that the agent makes and walls, so that a RUN step reaches no app and no port of ours."""
    return f"funai-builds.{instance(options)}" if instance(options) else "funai-builds"


def instance(options: UpOptions) -> str:
    """Keeps the containers of two data dirs on one engine apart; the account's own default data dir has the plain names.

    Not whatever is the default here: two people who became root with a HOME of their own share root's engine.
    """
    account = home({})  # not $HOME
    if account is not None and options.data_dir == default_data_dir({"HOME": str(account)}):
        return ""
    return hashlib.sha256(str(options.data_dir).encode()).hexdigest()[:8]
