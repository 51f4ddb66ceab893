"""``serve api|deploy|runner|agent``: one process of the production set, from its settings. ``db upgrade``."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated, Any

import typer

from funai.cli.session import Session
from funai.cli.verb import verb

Config = Annotated[
    Path | None, typer.Option("--config", "-c", help="A .properties file; the environment wins over it.", show_default=False)
]
ROOMS = {"api": "api", "deploy": "deploy", "runner": "runner", "agent": "runtime"}
"""Which package a service's name stands for."""
CLASSES = {"api": "ApiSettings", "deploy": "DeploySettings", "runner": "RunnerSettings", "agent": "RuntimeSettings"}
PORTS = "API 8080, Deploy 7002, runtime-agent 7005"


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        no_args_is_help=True, help="Run one service in the foreground.", epilog="funai serve deploy --config deploy.properties"
    )
    for name, help_text in {
        "api": "The door for people and platforms (8080).",
        "deploy": "The control plane: jobs, nodes, placement (7002).",
        "runner": "Builds and pushes images, hands them to the agents.",
        "agent": "A node's runtime-agent: containers and routes (7005).",
    }.items():
        verb(group, name, server=False, help=help_text)(_server(name))
    app.add_typer(group, name="serve", rich_help_panel="Operate")
    database = typer.Typer(no_args_is_help=True, help="The services' databases.")
    verb(database, "upgrade", server=False)(upgrade)
    app.add_typer(database, name="db", rich_help_panel="Operate")


def _server(name: str) -> Any:
    async def serve(_: Session, config: Config = None) -> None:
        from funai.base.supervise import stop_on_signals

        settings, serve_room = load(name, config)
        await _serve(name, settings, serve_room, stop_on_signals)

    return serve


async def _serve(name: str, settings: Any, serve_room: Any, stop_on_signals: Any) -> None:
    import asyncio

    from funai.base import log

    log.configure(name)
    stop = asyncio.Event()
    stop_on_signals(stop)
    await serve_room(settings, stop)


def load(name: str, config: Path | None) -> tuple[Any, Any]:
    """The service's settings and its ``serve``. Raises ConfigError with every problem."""
    room = ROOMS[name]
    settings_class = getattr(importlib.import_module(f"funai.{room}.settings"), CLASSES[name])
    settings = settings_class.load(config)
    return settings, importlib.import_module(f"funai.{room}.main").serve


async def upgrade(
    session: Session,
    service: Annotated[str, typer.Argument(help="api, deploy, or all.")] = "all",
    config: Config = None,
) -> None:
    """Bring the databases to this version. Services do the same when they start."""
    from funai.cli.session import Refused

    names = ["api", "deploy"] if service == "all" else [service]
    if not set(names) <= {"api", "deploy"}:
        raise Refused(f"{service}: api | deploy | all")
    for name in names:
        settings, _ = load(name, config)
        await importlib.import_module(f"funai.{ROOMS[name]}.main").upgrade(settings)
    session.out.document({"upgraded": names})
    session.out.line(session.say("upgraded", rooms=", ".join(names)))
