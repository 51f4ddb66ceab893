"""The API's parts, put together once a process; routes reach them through the request."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import httpx

from funai.api.accounts.keys import Keys
from funai.api.accounts.passwords import Passwords
from funai.api.accounts.publickeys import PublicKey, parse_public_key
from funai.api.accounts.service import Accounts
from funai.api.accounts.tokens import Tokens
from funai.api.admin.orphans import OrphanSweep, SweepRules
from funai.api.apps.deletion import Deletions
from funai.api.apps.overviews import Overviews
from funai.api.apps.service import Apps
from funai.api.apps.slots import Slots
from funai.api.apps.variables import Variables
from funai.api.audit.trail import AuditTrail
from funai.api.compat.deploy import OldJobIds
from funai.api.deploys.client_pool import DeployClientPool
from funai.api.deploys.follower import Follower
from funai.api.deploys.idempotency import Answers
from funai.api.deploys.policy import Defaults
from funai.api.deploys.service import Deploys
from funai.api.deploys.tracker import Tracker
from funai.api.domains.service import OwnDomains
from funai.api.logs.limiter import StreamLimiter
from funai.api.logs.streams import Streams
from funai.api.repos.access import RepoAccess
from funai.api.repos.accounts import GitAccounts
from funai.api.repos.apart import ApartHost
from funai.api.repos.gitea import Admitted, GiteaHost, GiteaRules
from funai.api.repos.host import RepoHost
from funai.api.repos.pushes import PUSH_PATH
from funai.api.repos.repositories import IN_GIT_SERVER, IN_GITEA, Repositories
from funai.api.repos.templates import template_files
from funai.api.settings import ApiSettings
from funai.base.clients.gitea import Gitea
from funai.base.clock import Clock, SystemClock
from funai.base.config.sealing import Sealer
from funai.base.db.engine import Database
from funai.base.http.guards import Network, networks
from funai.contracts.errors import BadInput, ConfigError

LOOPBACK = ("127.0.0.0/8", "::1/128")


@dataclass(frozen=True, slots=True)
class Core:
    settings: ApiSettings
    db: Database
    control: DeployClientPool
    stop: asyncio.Event
    trusted: tuple[Network, ...]
    accounts: Accounts
    keys: Keys
    apps: Apps
    repos: Repositories
    apart: ApartHost | None
    git_accounts: GitAccounts
    variables: Variables
    deploys: Deploys
    deletions: Deletions
    tracker: Tracker
    follower: Follower
    overviews: Overviews
    domains: OwnDomains
    orphans: OrphanSweep
    answers: Answers
    streams: Streams
    seats: StreamLimiter
    gate: RepoAccess
    audit: AuditTrail


def assemble(
    settings: ApiSettings,
    *,
    repo_host: RepoHost | None,
    deploy_http: httpx.AsyncBaseTransport | None,
    gitea_http: httpx.AsyncBaseTransport | None = None,
    stop: asyncio.Event,
    clock: Clock | None = None,
) -> Core:
    """Make every part from the settings. Raises ConfigError."""
    clock = clock or SystemClock()
    db = Database(settings.datasource_url)
    defaults = defaults_of(settings)
    control = DeployClientPool(settings, deploy_http, OldJobIds(db, clock))
    runner_key = _runner_key(settings.git_runner_public_key)
    accounts = Accounts(
        db,
        Passwords(),
        Tokens(settings.jwt_secret.get_secret_value(), settings.jwt_expiration),
        clock,
        logins_per_minute=settings.login_attempts,
        registrations_per_hour=settings.registrations,
    )
    keys = Keys(db, clock, limit=settings.max_keys, reserved=runner_key)
    gitea = _gitea(settings, gitea_http)
    apart = ApartHost(db, clock) if settings.git_internal_token and repo_host is None and gitea is None else None
    host = _repo_host(settings, repo_host or apart, gitea)
    repos = Repositories(db, clock, defaults, host, kind=IN_GITEA if gitea else IN_GIT_SERVER)
    apps = Apps(db, clock, defaults, repos, limit=settings.max_apps, longest=settings.max_description)
    sealer = Sealer.from_file(settings.env_key_file, create=True) if settings.env_key_file else None
    variables = Variables(db, clock, sealer, max_count=settings.env_max_count, max_bytes=settings.env_max_bytes)
    slots = Slots(db, clock, limit=settings.max_running)
    tracker = Tracker(db, slots, control, clock)
    answers = Answers(db, clock)
    return Core(
        settings=settings,
        db=db,
        control=control,
        stop=stop,
        trusted=_trusted(settings),
        accounts=accounts,
        keys=keys,
        apps=apps,
        repos=repos,
        apart=apart,
        git_accounts=GitAccounts(db, clock, defaults, gitea, reserved=frozenset(_bots(settings))),
        variables=variables,
        deploys=Deploys(apps, slots, answers, variables, tracker, control, defaults),
        deletions=Deletions(db, apps, control, clock),
        tracker=tracker,
        follower=Follower(control, tracker),
        overviews=Overviews(db, apps, slots, control),
        domains=OwnDomains(apps, control, [settings.git_ssh_host, *settings.reserved_hosts], settings.max_domains),
        orphans=OrphanSweep(db, clock, repos, control, _sweep_rules(settings)),
        answers=answers,
        streams=Streams(control, tracker, stop),
        seats=StreamLimiter(settings.max_log_streams, settings.max_log_streams_all),
        gate=RepoAccess(apps, keys, defaults, runner_key),
        audit=AuditTrail(db, clock, settings.audit_days),
    )


def _trusted(settings: ApiSettings) -> tuple[Network, ...]:
    """The proxies whose X-Forwarded-For counts; the console of this process calls from loopback and is one."""
    own = LOOPBACK if settings.console_enabled else ()
    return networks([*settings.trusted_proxies, *own], "funai.api.trusted-proxies")


def defaults_of(settings: ApiSettings) -> Defaults:
    return Defaults(
        ssh_host=settings.git_ssh_host if settings.git_enabled else None,
        ssh_port=settings.git_ssh_port,
        repo_owner=settings.git_repo_owner,
        repo_template=settings.git_repo_template,
        git_ref=settings.git_default_ref,
        registry=settings.acr_registry if settings.acr_enabled else None,
        namespace=settings.acr_namespace,
        image_namespaces=tuple(settings.image_namespaces),
        repo_prefixes=tuple(settings.git_allowed_repos),
        https_urls=settings.https_urls,
    )


def _gitea(settings: ApiSettings, http: httpx.AsyncBaseTransport | None) -> Gitea | None:
    if not settings.gitea_enabled or settings.gitea_admin_token is None:
        return None
    token = settings.gitea_admin_token.get_secret_value()
    return Gitea(settings.gitea_base_url, token, timeout=settings.gitea_timeout_ms / 1000, http=http)


def _repo_host(settings: ApiSettings, given: RepoHost | None, gitea: Gitea | None) -> RepoHost | None:
    """``given`` is this process's own Git server. Raises ConfigError."""
    if gitea is None:
        return given if settings.git_enabled else None
    if given is not None:
        raise ConfigError(["gitea.enabled: `funai up` has a Git server of its own; run `funai serve api` to use a Gitea"])
    hook, secret = settings.gitea_webhook_url.rstrip("/"), settings.gitea_webhook_secret
    rules = GiteaRules(
        auto_init=settings.gitea_auto_init,
        default_branch=settings.gitea_default_branch,
        runner=Admitted(settings.gitea_runner_team, settings.gitea_runner_bot, "read", "gitea.runner"),
        workspace=Admitted(settings.gitea_workspace_team, settings.gitea_workspace_bot, "write", "gitea.workspace"),
        webhook=(hook + PUSH_PATH, secret.get_secret_value()) if hook and secret else None,
        templates=template_files(settings.gitea_template_dir),
    )
    return GiteaHost(gitea, rules)


def _sweep_rules(settings: ApiSettings) -> SweepRules:
    return SweepRules(settings.orphan_sweep, settings.orphan_hours, settings.orphan_grace_hours)


def _bots(settings: ApiSettings) -> list[str]:
    return [name for name in (settings.gitea_runner_bot, settings.gitea_workspace_bot) if name]


def _runner_key(text: str | None) -> PublicKey | None:
    if not text:
        return None
    try:
        return parse_public_key(text)
    except BadInput as e:
        raise ConfigError([f"funai.git.runner-public-key: {e.message('en')}"]) from e
