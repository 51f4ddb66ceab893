"""``funai config check|show``, ``backup``, ``restore``, ``upgrade``: what an operator of one machine does beside running it."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from funai.base import proxies
from funai.cli.session import Session
from funai.cli.verb import verb
from funai.i18n.sizes import size
from funai.standalone import checkfile
from funai.standalone.configuration import choosing
from funai.standalone.configuration.loading import FILE, Loaded, ignored, unread
from funai.standalone.configuration.model import sections
from funai.standalone.layout import Layout, Secrets
from funai.standalone.parts.engine import EngineChoice, EngineKind
from funai.standalone.phrases import phrase
from funai.standalone.upkeep import backup, services, upgrade

PANEL = "Platform"
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="The platform's data dir.", show_default="as for funai up")]
SettingsDir = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        help="Of services that run apart: the folder of their .properties files, such as /etc/funai.",
        show_default=False,
    ),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", "-c", help="The file, if not the data dir's funai.toml.", show_default=False)
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="What funai up reads: check it, show what is in force.")
    verb(group, "check", server=False)(check)
    verb(group, "show", server=False)(show)
    app.add_typer(group, name="config", rich_help_panel=PANEL)
    verb(app, "backup", panel=PANEL, server=False, epilog="funai backup /mnt/backup/funai-2026-11-26.tar")(back_up)
    verb(app, "upgrade", panel=PANEL, server=False, epilog="funai upgrade · funai upgrade 0.2.0 · funai upgrade --back")(
        upgrade_package
    )
    verb(app, "restore", panel=PANEL, server=False, epilog="funai restore /mnt/backup/funai-2026-11-26.tar")(restore)


def check(
    session: Session,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A service's .properties or .env file, also one of before.", show_default=False),
    ] = None,
    service: Annotated[
        str, typer.Option("--service", help="Whose FILE it is: api, deploy, runner, agent, console or git.")
    ] = "deploy",
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Read the configuration as funai up would, without starting anything; or a service's FILE, key by key, in today's keys."""
    if file is not None:
        checkfile.check(session, file, service)
        return
    loaded = choosing.read(config, data_dir, {})
    warnings = _warnings(session, loaded)
    session.out.document({"ok": True, "file": str(loaded.file) if loaded.file else None, "warnings": warnings})
    for line in warnings:
        session.out.line(f"! {line}", "yellow")
    session.out.line(f"✓ {phrase('config_fine')}", "green")


def _readable(section: str, key: str, value: object) -> str:
    """Without the password of an address."""
    secret = (section == "proxies" and key != "none") or (section == "databases" and "://" in str(value))
    return proxies.shown(str(value)) if secret else str(value)


def show(session: Session, config: ConfigFile = None, data_dir: DataDir = None) -> None:
    """Show every value in force, and where it came from."""
    loaded = choosing.read(config, data_dir, {})
    rows: list[tuple[str, str, str]] = []
    for section, kind in sections().items():
        for key in kind.model_fields:
            value = getattr(getattr(loaded.config, section), key)
            shown = "" if value is None else _readable(section, key, value)
            rows.append((f"{section}.{key}", shown, loaded.sources.get((section, key), phrase("default"))))
    rows += [(f"settings.{name}", str(value), str(loaded.file)) for name, value in loaded.config.settings.items()]
    session.out.document([{"name": n, "value": v or None, "source": s} for n, v, s in rows])
    session.out.table(["name", "value", "from"], rows)
    if loaded.file is None and not config:
        folder = loaded.config.server.data_dir
        session.out.aside(phrase("config_none", file=folder / FILE if folder else FILE))


def back_up(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A new .tar or .tar.gz file.")],
    without_images: Annotated[
        bool, typer.Option("--without-images", help="Leave the registry out; a deploy builds its image again.")
    ] = False,
    settings: SettingsDir = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Write all state into one file, also while the platform runs: accounts, apps, jobs, keys, repositories, images."""
    if settings is not None:
        report = asyncio.run(services.write(settings, file))
        session.out.document({"file": str(file), "settings": str(settings), **asdict(report)})
        session.out.line(phrase("backed_up", file=file, count=report.files, size=size(report.bytes)), "green")
        session.out.aside(phrase("backup_secret"))
        return
    layout = _layout(config, data_dir)
    report = backup.write(layout, file, registry=not without_images)
    session.out.document({"file": str(file), "dataDir": str(layout.root), **asdict(report)})
    session.out.line(phrase("backed_up", file=file, count=report.files, size=size(report.bytes)), "green")
    session.out.aside(phrase("backup_secret"))
    if (layout.run / "postgres.json").exists():
        session.out.aside(phrase("backup_no_databases"))
    if without_images:
        session.out.aside(phrase("backup_no_images"))


def restore(
    session: Session,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What funai backup wrote.")],
    settings: SettingsDir = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Bring a backup into a data dir that is empty or not there yet, or the services' back to where their settings say."""
    if settings is not None:
        report = asyncio.run(services.restore(file, settings))
        session.out.document({"file": str(file), "settings": str(settings), **asdict(report)})
        session.out.line(phrase("restored", folder=settings, created=report.created, version=report.version), "green")
        return
    layout = _layout(config, data_dir)
    report = backup.restore(file, layout)
    session.out.document({"file": str(file), "dataDir": str(layout.root), **asdict(report)})
    session.out.line(phrase("restored", folder=layout.root, created=report.created, version=report.version), "green")
    session.out.line(phrase("restored_next", folder=layout.root))
    if not report.registry:
        session.out.aside(phrase("backup_no_images"))


def upgrade_package(
    session: Session,
    what: Annotated[
        str | None, typer.Argument(metavar="VERSION|WHEEL", help="The newest when left out.", show_default=False)
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Undo the last one: the version and databases of before.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Install another version while the platform is stopped; its databases of before are kept for --back."""
    layout = _layout(config, data_dir)
    change = (upgrade.backwards if back else upgrade.forwards)(layout, what)
    session.out.document({"from": change.old, "to": change.new, "kept": str(change.kept)})
    facts = {"old": change.old, "new": change.new, "kept": change.kept}
    session.out.line(phrase("upgrade_back", **facts) if back else phrase("upgraded", **facts), "green")


def _layout(config: Path | None, data_dir: Path | None) -> Layout:
    return Layout(choosing.options_of(choosing.read(config, data_dir, {})).data_dir)


def _warnings(session: Session, loaded: Loaded) -> list[str]:
    """Raises ConfigError for what funai up would refuse."""
    from funai.standalone.services import named_servers, plan  # noqa: PLC0415  # all of the platform

    environ = dict(session.environ)
    choosing.set_proxies(loaded, environ)
    proxies.read(environ)
    options = choosing.options_of(loaded)
    engine = EngineChoice(
        kind=EngineKind.PODMAN,
        binary="podman",
        version="",
        rootless=False,
        socket=None,
        environment={},
        why="",
        limits=(),
        host_reaches_containers=True,
    )
    with tempfile.TemporaryDirectory(prefix="funai-check-") as folder:
        layout = Layout(Path(folder))
        layout.make()
        named = named_servers(options)
        plan(options, layout, Secrets(), engine, layout.engine_socket, "", named)
    return [*unread(session.environ), *ignored(session.environ, options.given.fixed), *choosing.idle(loaded, options)]
