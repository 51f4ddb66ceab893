"""``serve api|deploy|runner|agent|edge|git``: one process, from its settings. ``db upgrade|downgrade``."""

from __future__ import annotations

import importlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from funai.cli.session import Refused, Session
from funai.cli.verb import verb

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import AsyncIterator, Callable

PANEL = "Operate"
Which = Annotated[str, typer.Argument(metavar="SERVICE", help="Whose database: api, deploy or all.")]
Url = Annotated[str | None, typer.Option(help="The database, instead of the service's settings.", show_default=False)]
Zone = Annotated[
    str,
    typer.Option(
        help="In which zone an earlier installation wrote its times, such as Asia/Shanghai; else the database's own.",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="A .properties file; the environment wins over it.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class Service:
    """``settings`` are the classes its ``main.serve`` takes, as ``room.Class``, each read from the one config file.

    ``children``: whether it starts programs. Those don't run on uvloop, whose children inherit each other's pipes.
    """

    name: str
    room: str
    settings: tuple[str, ...]
    help: str
    children: bool = True


_API = "The API for people and platforms (8080)."
_DEPLOY = "The control plane: jobs, nodes, placement (7002)."
_AGENT = "A node's runtime-agent (7005) with its gateway's routes."
_EDGE = "One public entry before several nodes' gateways; it follows Deploy's routes."
_CONSOLE = "The web console apart from the API's process (8081)."
_GIT = "The built-in Git server over SSH (2222), where there is no forge."
SERVICES = (
    Service("api", "api", ("api.ApiSettings",), _API, children=False),
    Service("deploy", "deploy", ("deploy.DeploySettings",), _DEPLOY, children=False),
    Service("runner", "runner", ("runner.RunnerSettings",), "Builds and pushes images, hands them to the agents."),
    Service("agent", "agent", ("agent.RuntimeSettings", "gateway.GatewaySettings"), _AGENT),
    Service("edge", "gateway.edge", ("gateway.edge.EdgeSettings", "gateway.GatewaySettings"), _EDGE),
    Service("console", "console", ("console.ConsoleSettings",), _CONSOLE, children=False),
    Service("git", "git", ("git.GitSettings",), _GIT),
)
DATABASES = {"api": "api.ApiSettings", "deploy": "deploy.DeploySettings"}


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True,
        help="Run one service in the foreground: api, deploy, runner, agent, edge, console, git.",
        epilog="funai serve deploy --config deploy.properties",
    )
    for service in SERVICES:
        verb(group, service.name, server=False, help=service.help)(_verb(service))
    app.add_typer(group, name="serve", rich_help_panel=PANEL)


def add_database_verbs(group: typer.Typer) -> None:
    """Of the services' own databases, beside those of apps."""
    verb(group, "upgrade", panel=PANEL, server=False)(upgrade)
    verb(group, "downgrade", panel=PANEL, server=False)(downgrade)


def _verb(service: Service) -> Callable[..., Any]:
    def serve(_: Session, config: Config = None) -> None:
        import asyncio

        from funai.base.aio import stop_on_signals
        from funai.base.observability import log
        from funai.base.process.openfiles import allow_open_files

        allow_open_files()
        settings = load(service, config)
        serve_room = importlib.import_module(f"funai.{service.room}.main").serve
        _log_folder(config)
        log.configure(service.name)
        warn_of_unread(config)

        async def until_stopped() -> None:
            stop = asyncio.Event()
            stop_on_signals(stop)
            await serve_room(*settings, stop)

        with asyncio.Runner(loop_factory=_loop_of(service)) as runner:
            runner.run(until_stopped())

    return serve


def _loop_of(service: Service) -> Callable[[], AbstractEventLoop] | None:
    if service.children:
        return None
    import uvloop

    return uvloop.new_event_loop


def load(service: Service, config: Path | None) -> list[Any]:
    """The service's settings. Raises ConfigError with every problem of all of them."""
    from funai.contracts.errors import ConfigError

    loaded: list[Any] = []
    problems: list[str] = []
    for name in service.settings:
        try:
            loaded.append(settings_class(name).load(config))
        except ConfigError as e:
            problems += e.problems
    if problems:
        raise ConfigError(problems)
    return loaded


def _log_folder(config: Path | None) -> None:
    """FUNAI_LOG_DIR may stand in the file too."""
    import os

    from funai.base.config.settings import read_properties
    from funai.base.observability.log import LOG_DIR

    if config and (folder := read_properties(config).get(LOG_DIR)):
        os.environ.setdefault(LOG_DIR, folder)


def warn_of_unread(config: Path | None) -> None:
    """A line for every key of the file, and for every variable meant for the services, that no service reads."""
    import os

    from funai.base.config import compat
    from funai.base.config.settings import read_properties
    from funai.base.observability import log

    known = compat.known(settings_class(name) for service in SERVICES for name in service.settings)
    variables = [name for name in os.environ if compat.OURS.fullmatch(name)]
    for line in compat.unread(known, [*(read_properties(config) if config else ()), *variables]):
        log.get("config").warning("config.key_unread", setting=line.key, why=line.told)


def settings_class(name: str) -> Any:
    """``api.ApiSettings`` → that class."""
    room, _, cls = name.rpartition(".")
    return getattr(importlib.import_module(f"funai.{room}.settings"), cls)


async def upgrade(
    session: Session,
    service: Which = "all",
    config: Config = None,
    url: Url = None,
    check: Annotated[bool, typer.Option("--check", help="Say what would be done, and change nothing.")] = False,
    time_zone: Zone = "",
) -> None:
    """Bring the databases to this version. Services do the same when they start."""
    names = _chosen(service, url)
    told: list[str] = []
    for name in names:
        async with databases_of(name, config, url) as database:
            if check:
                told += await _main_of(name).check(database, time_zone)
            else:
                await _main_of(name).upgrade(database, time_zone)
    if check:
        session.out.document({"services": names, "plan": told})
        for line in told:
            session.out.line(line)
        return
    session.out.document({"upgraded": names})
    session.out.line(session.say("upgraded", rooms=", ".join(names)))


async def downgrade(session: Session, config: Config = None, url: Url = None, time_zone: Zone = "") -> None:
    """Give Deploy's tables back the form that they had before they were taken over from an earlier installation.

    Stop Deploy first. What happened since stays in them: jobs made since have their number as a text for id.
    """
    async with databases_of("deploy", config, url) as database:
        tables = await _main_of("deploy").downgrade(database, time_zone)
    session.out.document({"given_back": tables})
    session.out.line(session.say("given_back", tables=", ".join(tables)))


def _chosen(service: str, url: str | None) -> list[str]:
    names = list(DATABASES) if service == "all" else [service]
    if not set(names) <= set(DATABASES) or (url and len(names) > 1):
        raise Refused("api | deploy | all; --url: api | deploy")
    return names


@asynccontextmanager
async def databases_of(name: str, config: Path | None, url: str | None) -> AsyncIterator[Any]:
    """The service's database, or the one at ``url``, closed on leaving."""
    from funai.base.config.compat import plain_url
    from funai.base.db.engine import Database

    database = Database(plain_url(url) if url else settings_class(DATABASES[name]).load(config).datasource_url)
    try:
        yield database
    finally:
        await database.close()


def _main_of(name: str) -> Any:
    return importlib.import_module(f"funai.{name}.main")
