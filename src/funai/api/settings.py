"""Settings of the API process; the names are the contract's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, SecretStr, field_validator, model_validator

from funai.base.config.compat import SPRING, datasource
from funai.base.config.settings import CsvList, Secret, Settings, key, metrics_allowed
from funai.base.http.guards import networks
from funai.contracts import rules
from funai.contracts.errors import BadInput, ConfigError
from funai.dockerfile.images import check_base_prefixes

MIN_JWT_SECRET = 32
MIN_WEBHOOK_SECRET = 16


def origin_pattern(origin: str) -> str:
    """An origin's regular expression: ``*`` in its host is any name of at least a character, a port ``[*]`` any or none."""
    host, any_port, _ = origin.rstrip("/").partition(":[*]")
    pattern = re.escape(host).replace(r"\*", "[A-Za-z0-9.-]+")
    return pattern + ("(:[0-9]+)?" if any_port else "")


class OrphanMode(StrEnum):
    """What the sweep for orphans does by itself."""

    OFF = "off"
    REPORT = "report"
    DELETE = "delete"


class ApiSettings(Settings):
    """The API's settings. A secret that is empty or a placeholder refuses to start."""

    title: ClassVar[str] = "API"
    older: ClassVar[Mapping[str, str]] = {
        "server.port": "funai.api.port",
        "server.address": "funai.api.host",
        "funai.cors.allowed-origin-patterns": "funai.api.cors-origins",
        **dict.fromkeys(SPRING, "funai.api.datasource.url"),
    }

    host: str = key("funai.api.host", "0.0.0.0", doc="Address to listen on")
    port: int = key("funai.api.port", 8080, doc="Port to listen on", ge=0, le=65535)
    datasource_url: str = key(
        "funai.api.datasource.url",
        "sqlite:///funai-api.db",
        doc="Database: sqlite:///file, postgresql://user:password@host/db or mysql://user:password@host/db",
    )
    trusted_proxies: list[str] = key(
        "funai.api.trusted-proxies", [], doc="Proxies (addresses or CIDRs) whose X-Forwarded-For counts"
    )
    metrics_allowed_ips: CsvList = metrics_allowed()
    cors_origins: list[str] = key(
        "funai.api.cors-origins",
        [],
        doc="Origins of web pages that may call the API from a browser; `*` in a name stands for any, as in https://*.example.com",
    )

    https_urls: bool = key(
        "funai.api.https-urls",
        False,
        doc="Apps' addresses are given to people as https:// whatever the nodes announce (TLS ends in front of the gateways)",
    )

    jwt_secret: Secret = key("jwt.secret", doc="Signs login tokens (HS256); at least 32 characters")
    jwt_expiration: int = key("jwt.expiration", 604_800, doc="Seconds a login lasts", ge=60, le=31_536_000)
    registration_open: bool = key("funai.auth.registration-open", True, doc="Whether people may register by themselves")
    admin_name: str = key("funai.auth.admin-name", "admin", doc="Name of the first admin")
    admin_password: Secret | None = key(
        "funai.auth.admin-password", None, doc="Set: the first admin is made with it at start; an existing one is left alone"
    )
    login_attempts: int = key(
        "funai.auth.login-attempts-per-minute", 10, doc="Logins tried per minute by one address for one name", ge=1, le=10_000
    )
    registrations: int = key(
        "funai.auth.registrations-per-hour", 120, doc="Accounts made per hour from one address", ge=1, le=100_000
    )

    deploy_enabled: bool = key("deploy-proxy.enabled", True, doc="Whether apps can be deployed at all")
    deploy_base_url: str = key("deploy-proxy.base-url", "http://127.0.0.1:7002", doc="Where the Deploy service answers")
    deploy_secret: Secret | None = key("deploy-proxy.shared-secret", None, doc="Sent as X-DEPLOY-SECRET")
    deploy_admin_token: Secret | None = key(
        "deploy-proxy.admin-token", None, doc="Sent as X-Admin-Token for an admin user's /admin/deploy-nodes calls"
    )
    deploy_read_timeout_ms: int = key("deploy-proxy.read-timeout-ms", 8_000, doc="Longest wait for Deploy", ge=100, le=120_000)
    deploy_list_timeout_ms: int = key(
        "deploy-proxy.list-jobs-timeout-ms", 1_500, doc="Longest wait for a list of jobs", ge=100, le=60_000
    )

    git_enabled: bool = key("deploy-git.enabled", True, doc="Whether apps have a Git repository to build from")
    git_ssh_host: str = key("deploy-git.ssh-host", "127.0.0.1", doc="SSH host of the Git server as users and runners reach it")
    git_ssh_port: int = key("deploy-git.ssh-port", 2222, doc="SSH port of the Git server", ge=1, le=65535)
    git_repo_owner: str = key(
        "deploy-git.repo-owner", "funai", doc="Owner of every app repository", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$"
    )
    git_repo_template: str = key("deploy-git.repo-name-template", "u{userId}-app{appId}", doc="Name of an app's repository")
    git_default_ref: str = key("deploy-git.default-ref", "main", doc="What is built when nothing is named")
    git_allowed_repos: list[str] = key(
        "funai.git.allowed-repos",
        [],
        doc="Prefixes of other repoSshUrl a user may name, such as ssh://git@git.example.com:22/team/",
    )
    git_internal_token: Secret | None = key(
        "funai.git.internal-token", None, doc="X-Git-Token of the Git server's questions; without it they are refused"
    )
    git_runner_public_key: str | None = key(
        "funai.git.runner-public-key", None, doc="The runner's own key (OpenSSH form): reads every repository, writes none"
    )

    gitea_enabled: bool = key(
        "gitea.enabled", False, doc="Keep apps' repositories in a Gitea or Forgejo, and make and remove them there"
    )
    gitea_base_url: str = key("gitea.base-url", "", doc="Where Gitea answers, such as http://172.21.138.103:3000")
    gitea_admin_token: Secret | None = key(
        "gitea.admin-token",
        None,
        doc="Token of an owner of the organisation: write:organization, write:repository; write:admin to copy users' keys",
    )
    gitea_owner: str = key("gitea.owner", "", doc="The organisation; empty: deploy-git.repo-owner, which it must equal")
    gitea_repo_template: str = key(
        "gitea.repo-name-template", "", doc="Empty: deploy-git.repo-name-template, which it must equal"
    )
    gitea_auto_init: bool = key(
        "gitea.auto-init",
        True,
        doc="A new repository has a first commit; false where people push folders that have commits of their own",
    )
    gitea_default_branch: str = key(
        "gitea.default-branch", "main", doc="Of a new repository", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_./-]*$"
    )
    gitea_runner_team: str = key("gitea.runner-team", "runner-readonly", doc="Team of the organisation that reads every app")
    gitea_runner_bot: str = key("gitea.runner-bot", "runner-bot", doc="Account that reads where there is no such team")
    gitea_workspace_team: str = key("gitea.workspace-team", "workspace-write", doc="Team that writes to every app; may lack")
    gitea_workspace_bot: str = key(
        "gitea.workspace-bot", "workspace-bot", doc="Account that writes where there is no such team"
    )
    gitea_template_dir: Path | None = key(
        "gitea.template-dir", None, doc="Folder of files for new repositories, beside .gitignore and .dockerignore (auto-init)"
    )
    gitea_webhook_url: str = key(
        "gitea.webhook-url", "", doc="This API as Gitea reaches it, such as http://172.21.138.91:8080; empty: no push hook"
    )
    gitea_webhook_secret: Secret | None = key(
        "gitea.webhook-secret", None, doc="Signs Gitea's push events; at least 16 characters"
    )
    gitea_timeout_ms: int = key("gitea.timeout-ms", 8_000, doc="Longest wait for one answer of Gitea", ge=100, le=60_000)

    acr_enabled: bool = key("deploy-acr.enabled", True, doc="Whether built images go to a registry named here")
    acr_registry: str | None = key("deploy-acr.registry", None, doc="Registry address, host[:port]")
    base_images: Annotated[CsvList, AfterValidator(check_base_prefixes)] = key(
        "RUNNER_BASE_IMAGES", [], doc="The Runner's prefixes of base images, told to `funai check`"
    )
    acr_namespace: str = key("deploy-acr.namespace", "funaistudio", doc="Namespace (a Harbor project) of built images")
    image_namespaces: list[str] = key(
        "funai.image.allowed-namespaces",
        [],
        doc="Where users may take prebuilt images from, beside the app's own repository: docker.io/library, host:5000/team",
    )

    max_apps: int = key("funai.app.limits.max-apps-per-user", 20, doc="Apps a user may have", ge=1, le=100_000)
    max_running: int = key("funai.app.limits.max-running-per-user", 3, doc="Apps a user may run at once", ge=1, le=100_000)
    max_description: int = key(
        "funai.app.limits.max-app-description-length", 2_000, doc="Characters of an app's description", ge=1, le=2_000
    )
    max_domains: int = key("funai.app.limits.max-domains-per-app", 10, doc="Domains of its own an app may have", ge=0, le=1_000)
    reserved_hosts: CsvList = key(
        "funai.app.reserved-hosts", [], doc="The platform's own host names that no app may have, beside those it knows"
    )
    max_log_streams: int = key(
        "funai.limits.log-streams-per-user", 12, doc="Followed logs a user may hold open", ge=1, le=10_000
    )
    max_log_streams_all: int = key(
        "funai.limits.log-streams", 1_000, doc="Followed logs open at once, of all users together", ge=1, le=100_000
    )
    max_keys: int = key("funai.limits.max-ssh-keys-per-user", 20, doc="SSH keys a user may register", ge=1, le=1_000)
    audit_days: int = key("funai.api.audit-days", 365, doc="Days that the audit trail is kept", ge=1, le=36_500)
    env_key_file: Path | None = key(
        "funai.env.key-file", None, doc="Key that seals app variables; made at first start; Deploy needs the same file"
    )
    env_max_count: int = key("funai.env.max-count", 100, doc="Variables an app may have", ge=1, le=1_000)
    env_max_bytes: int = key("funai.env.max-bytes", 65_536, doc="Size of all variables of an app together", ge=1, le=1_048_576)
    console_enabled: bool = key("funai.console.enabled", True, doc="Whether this process serves the web console under /")
    console_https: bool = key(
        "funai.console.https",
        False,
        doc="People reach the console over HTTPS (a proxy in front ends it): cookies get Secure and the __Host- prefix",
    )
    orphan_sweep: OrphanMode = key(
        "funai.orphans.sweep",
        OrphanMode.REPORT,
        doc="What deleted apps left behind is looked for by the clock: off, report (in the log), or delete",
    )
    orphan_hours: float = key("funai.orphans.sweep-hours", 24, doc="Hours between two such looks", gt=0, le=8_760)
    orphan_grace_hours: float = key(
        "funai.orphans.grace-hours", 168, doc="What the sweep deletes has looked orphaned for so many hours", ge=1, le=8_760
    )
    sweep_seconds: float = key(
        "funai.api.sweep-seconds", 1.0, doc="How often outcomes of running deploys are asked for", gt=0, le=60
    )

    @classmethod
    def translated(cls, given: Mapping[str, str]) -> dict[str, str]:
        return {**super().translated(given), **datasource(given, "funai.api.datasource.url")}

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < MIN_JWT_SECRET:
            raise ValueError(f"is shorter than {MIN_JWT_SECRET} characters")
        return value

    @field_validator("acr_registry")
    @classmethod
    def _registry(cls, value: str | None) -> str | None:
        return _as_value_error(lambda: rules.check_registry(value)) if value else None

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies(cls, value: list[str]) -> list[str]:
        try:
            networks(value, "funai.api.trusted-proxies")
        except ConfigError as e:
            raise ValueError(str(e)) from e
        return value

    @field_validator("git_repo_template")
    @classmethod
    def _template(cls, value: str) -> str:
        if "{userId}" not in value or "{appId}" not in value:
            raise ValueError("must contain {userId} and {appId}")
        return value

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.deploy_enabled and self.deploy_secret is None:
            raise ValueError(
                "deploy-proxy.shared-secret is not set; set it (DEPLOY_PROXY_SHARED_SECRET), or deploy-proxy.enabled=false"
            )
        if self.gitea_enabled and (problems := list(_gitea_problems(self))):
            raise ConfigError(problems)
        return self


def _gitea_problems(settings: ApiSettings) -> Iterator[str]:
    """What keeps a Gitea from being used, each with the key to change."""
    if not settings.git_enabled:
        yield "deploy-git.enabled: is false; set it to true, or gitea.enabled=false"
    if not settings.gitea_base_url.startswith(("http://", "https://")):
        yield "gitea.base-url: is not an http:// or https:// address; set it to where Gitea answers"
    if settings.gitea_admin_token is None:
        yield "gitea.admin-token: is not set; make one in Gitea as an owner of the organisation"
    for key_, own, git_key, git in (
        ("gitea.owner", settings.gitea_owner, "deploy-git.repo-owner", settings.git_repo_owner),
        ("gitea.repo-name-template", settings.gitea_repo_template, "deploy-git.repo-name-template", settings.git_repo_template),
    ):
        if own and own != git:
            yield f"{key_}: is {own} but {git_key} is {git}; they name the same repositories, so set both alike"
    if settings.gitea_webhook_url:
        secret = settings.gitea_webhook_secret.get_secret_value() if settings.gitea_webhook_secret else ""
        if len(secret) < MIN_WEBHOOK_SECRET:
            short = f"is shorter than {MIN_WEBHOOK_SECRET} characters"
            yield f"gitea.webhook-secret: {short}; set one, or leave gitea.webhook-url empty"
        if not settings.gitea_webhook_url.startswith(("http://", "https://")):
            yield "gitea.webhook-url: is not an http:// or https:// address; set it to where Gitea reaches this API"


def _as_value_error(check: object) -> str:
    try:
        return str(check())  # type: ignore[operator]
    except BadInput as e:
        raise ValueError(e.message("en")) from e
