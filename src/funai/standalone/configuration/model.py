"""The sections of ``funai.toml``. Each entry names the environment variable that wins over it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from funai.agent.databases.settings import parse_size
from funai.gateway.settings import DOMAIN
from funai.standalone.options import EMBEDDED, LOOPBACK, MONGO_IMAGE, Ports

_DEFAULT = Ports()
Size = Annotated[int, BeforeValidator(parse_size)]
Value = str | int | float | bool | list[str]


def entry(default: Any, *, env: str, doc: str, **constraints: Any) -> Any:
    """A value with the name of its environment variable. None: the service's own default."""
    return Field(default, description=doc, json_schema_extra={"env": env}, **constraints)


def env_of(info: FieldInfo) -> str:
    extra = info.json_schema_extra
    return f"{extra['env']}" if isinstance(extra, dict) else ""


def _apps_domain(value: str) -> str:
    value = value.lower().removeprefix("*.").strip(".")
    if value == "none":
        return ""
    if value and not DOMAIN.fullmatch(value):
        raise ValueError("is not a domain name such as apps.example.com, or none")
    return value


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    """Where people reach the platform."""

    data_dir: Path | None = entry(
        None, env="FUNAI_DATA_DIR", doc="where all state lives; read only from a file named by --config"
    )
    host: str = entry(LOOPBACK, env="FUNAI_HOST", doc="address at which gateway, API and Git listen; 0.0.0.0 is all of them")
    public_host: str | None = entry(None, env="FUNAI_PUBLIC_HOST", doc="name or address in the links that people are given")
    apps_domain: Annotated[str, AfterValidator(_apps_domain)] = entry(
        "apps.localhost", env="FUNAI_APPS_DOMAIN", doc="every app is also {appId}.{apps_domain}; none switches it off"
    )


class PortsSection(Section):
    """Ports; those after git are on loopback only."""

    gateway: int = entry(_DEFAULT.gateway, env="GATEWAY_PORT", doc="apps, plain HTTP", ge=1, le=65535)
    api: int = entry(_DEFAULT.api, env="FUNAI_API_PORT", doc="the API", ge=1, le=65535)
    git: int = entry(_DEFAULT.git, env="GIT_PORT", doc="Git over SSH", ge=1, le=65535)
    deploy: int = entry(_DEFAULT.deploy, env="DEPLOY_SERVER_PORT", doc="Deploy", ge=1, le=65535)
    agent: int = entry(_DEFAULT.agent, env="RUNTIME_AGENT_PORT", doc="the runtime-agent", ge=1, le=65535)
    registry: int = entry(_DEFAULT.registry, env="FUNAI_REGISTRY_PORT", doc="the registry", ge=1, le=65535)
    runner: int = entry(_DEFAULT.runner, env="RUNNER_METRICS_PORT", doc="the Runner's metrics", ge=1, le=65535)


class Https(Section):
    """HTTPS for the API and the apps, by a certificate's files (new ones are taken over) or by an ACME authority."""

    certificate: Path | None = entry(None, env="FUNAI_TLS_CERTIFICATE", doc="PEM with the chain, such as fullchain.pem")
    key: Path | None = entry(None, env="FUNAI_TLS_KEY", doc="its private key, PEM")
    acme_directory: str | None = entry(
        None,
        env="GATEWAY_ACME_DIRECTORY_URL",
        doc="certifies the public host where no files do, and apps' own domains (port 80 must lead here), "
        "such as https://acme-v02.api.letsencrypt.org/directory; setting it accepts its terms",
    )
    acme_email: str | None = entry(None, env="GATEWAY_ACME_EMAIL", doc="where the authority writes to you")
    acme_ca_file: Path | None = entry(None, env="GATEWAY_ACME_CA_FILE", doc="PEM by which a private authority is trusted")
    port: int = entry(8443, env="GATEWAY_HTTPS_PORT", doc="apps over HTTPS", ge=1, le=65535)
    api_port: int = entry(
        8444, env="FUNAI_API_HTTPS_PORT", doc="the API over HTTPS; its plain port is on loopback then", ge=1, le=65535
    )


class Builds(Section):
    """Builds."""

    slots: int = entry(1, env="RUNNER_SLOTS", doc="builds at the same time", ge=1, le=64)
    npm_registry: str | None = entry(
        None, env="NPM_REGISTRY", doc="npm registry of builds, such as https://registry.npmmirror.com"
    )
    debian_mirror: str | None = entry(
        None, env="FUNAI_DEBIAN_MIRROR", doc="Debian mirror of builds, such as http://mirrors.tuna.tsinghua.edu.cn/debian"
    )
    ca_file: Path | None = entry(None, env="RUNNER_BUILD_CA", doc="extra certificate authorities (PEM) that builds trust")
    image_mirror: str | None = entry(
        None,
        env="FUNAI_IMAGE_MIRROR",
        doc="asked for Docker Hub's images first: host[:port][/path]",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_/-]*$",
    )
    seconds: float | None = entry(None, env="RUNNER_BUILD_SECONDS", doc="a build takes at most this long", gt=0)
    memory: Size | None = entry(None, env="RUNNER_BUILD_MEMORY_BYTES", doc="memory of a build's steps together, such as 2g")
    cpus: float | None = entry(None, env="RUNNER_BUILD_CPUS", doc="cores of a build's steps", gt=0)
    disk: Size | None = entry(None, env="RUNNER_BUILD_DISK_BYTES", doc="disk a build may write, such as 8g")


class AppsSection(Section):
    """Limits of each app."""

    cpus: float | None = entry(None, env="RUNTIME_APP_CPUS", doc="cores; 0 is no limit", ge=0)
    memory: Size | None = entry(None, env="RUNTIME_APP_MEMORY", doc="memory, such as 512m; 0 is no limit")
    pids: int | None = entry(None, env="RUNTIME_APP_PIDS_LIMIT", doc="processes and threads; 0 is no limit", ge=0)
    start_seconds: float | None = entry(
        None, env="RUNNER_HEALTH_SECONDS", doc="an app must answer within this time", ge=1, le=600
    )


class DatabasesSection(Section):
    """Databases for apps."""

    postgres: str = entry(
        EMBEDDED,
        env="FUNAI_POSTGRES",
        doc="embedded: this machine's own, where the package postgresql is installed; none; or postgresql://admin:password@host:port/db",
        pattern=r"^(embedded|none|postgres(ql)?://\S+)$",
    )
    mongo: str = entry(
        "",
        env="FUNAI_MONGO",
        doc="container: this machine's own, of mongo_image; or mongodb://admin:password@host:port/?authSource=admin",
    )
    mongo_image: str = entry(
        MONGO_IMAGE,
        env="FUNAI_MONGO_IMAGE",
        doc="what that container runs; pulled where the engine doesn't have it",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
    )
    mongo_memory: Size = entry(1 << 30, env="FUNAI_MONGO_MEMORY", doc="memory it may use, such as 2g", ge=256 << 20)
    quota: Size | None = entry(None, env="RUNTIME_DATABASE_QUOTA", doc="size of an app's database, such as 1g; 0 is no limit")
    backup_hours: float | None = entry(None, env="RUNTIME_BACKUP_HOURS", doc="a backup of each so often; 0 is none", ge=0)
    backup_keep: int | None = entry(None, env="RUNTIME_BACKUP_KEEP", doc="backups kept of each", ge=1)


class Quotas(Section):
    """What each account may have."""

    apps: int | None = entry(None, env="FUNAI_APP_LIMITS_MAX_APPS_PER_USER", doc="apps", ge=1)
    running: int | None = entry(None, env="FUNAI_APP_LIMITS_MAX_RUNNING_PER_USER", doc="apps that run at once", ge=1)
    registration_open: bool | None = entry(
        None, env="FUNAI_AUTH_REGISTRATION_OPEN", doc="whether people may make accounts themselves"
    )


class Retention(Section):
    """How long things are kept."""

    releases: int | None = entry(None, env="DEPLOY_REGISTRY_CLEANUP_KEEP", doc="successful releases of each app", ge=1)
    jobs: int | None = entry(None, env="DEPLOY_JOB_KEEP_PER_APP", doc="finished jobs of each app", ge=1)
    event_days: int | None = entry(None, env="DEPLOY_JOB_EVENT_KEEP_DAYS", doc="days the audit trail reaches back", ge=1)
    cache: Size | None = entry(None, env="RUNNER_CACHE_BYTES", doc="Git mirrors together, such as 20g")


class ProxiesSection(Section):
    """The way out of this machine. Builds and apps get none of it."""

    http: str | None = entry(None, env="HTTP_PROXY", doc="such as http://proxy.example.com:3128")
    https: str | None = entry(None, env="HTTPS_PROXY", doc="the same, for https addresses")
    none: str | None = entry(None, env="NO_PROXY", doc="hosts, networks and domains that need none, comma-separated")


class Config(BaseSettings):
    """All of ``funai.toml``. ``settings`` takes any other setting of a service by its name in docs/configuration.md."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True)

    server: Server = Server()
    ports: PortsSection = PortsSection()
    https: Https = Https()
    builds: Builds = Builds()
    apps: AppsSection = AppsSection()
    databases: DatabasesSection = DatabasesSection()
    quotas: Quotas = Quotas()
    retention: Retention = Retention()
    proxies: ProxiesSection = ProxiesSection()
    settings: dict[str, Value] = Field(default_factory=dict[str, Value])

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what :mod:`.loading` gathers: each variable has a name of its own, not one made of section and entry."""
        return (init_settings,)


def sections() -> dict[str, type[Section]]:
    """The sections by name, in the file's order; ``settings`` has no fixed entries."""
    found = {name: info.annotation for name, info in Config.model_fields.items()}
    return {name: kind for name, kind in found.items() if isinstance(kind, type) and issubclass(kind, Section)}
