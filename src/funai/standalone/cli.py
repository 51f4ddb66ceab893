"""``funai up`` and ``funai demo`` at the terminal. The platform itself is imported when a verb runs: `--help` stays quick."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console, RenderableType
from rich.markup import escape
from rich.table import Table

from funai.base import proxies
from funai.base.aio import Stopped, unless
from funai.cli.output.streams import OutputLost
from funai.cli.project.profile import DEFAULT_SERVER
from funai.contracts.errors import ConfigError, FunaiError, NotReady
from funai.standalone.configuration import choosing, template
from funai.standalone.configuration.loading import FILE, Flags, ignored, unread
from funai.standalone.node import verbs as node
from funai.standalone.options import LOOPBACK, NONE, Ports, UpOptions, check_options
from funai.standalone.phrases import phase_words, phrase
from funai.standalone.upkeep import operate, unit

if TYPE_CHECKING:
    from funai.standalone.demo import Story
    from funai.standalone.up import Platform

EXIT_CONFIG, EXIT_NOT_READY = 2, 6
_CHECKOUT, _PACKAGED = Path(__file__).parents[3], Path(__file__).with_name("example")
"""Where the demo's example is: in a working tree, or in an installed package."""
_DEFAULT = Ports()

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="Where all state lives.", show_default="~/.local/share/funai/platform")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="What to read instead of the data dir's own file.", show_default="funai.toml in the data dir"
    ),
]
Host = Annotated[
    str | None,
    typer.Option(help="Address at which gateway, API and Git listen; 0.0.0.0 is all of them.", show_default=LOOPBACK),
]
PublicHost = Annotated[
    str | None,
    typer.Option(help="Name or address in the links and Git addresses people get.", show_default="--host, or 127.0.0.1"),
]
AppsDomain = Annotated[
    str | None,
    typer.Option(
        metavar="DOMAIN",
        show_default=UpOptions.apps_domain,
        help="Every app is also {appId}.DOMAIN; *.DOMAIN must lead to this machine. none: only /runtime/{appId}/.",
    ),
]

Mongo = Annotated[
    str | None,
    typer.Option(metavar="container|URL", help="MongoDB for apps: a container of it, or a server.", show_default="none"),
]


def _port(about: str, default: int) -> object:
    return typer.Option(min=1, max=65535, metavar="PORT", help=about, show_default=str(default))


def register(app: typer.Typer) -> None:
    """Add ``up``, ``demo`` and what an operator does about them to the command line."""
    app.command("up", help="Run the whole platform on this machine.")(up)
    app.command("demo", help="Set up, deploy two apps, show where the time went, leave nothing behind.")(demo)
    operate.register(app)
    node.register(app)


def up(
    data_dir: DataDir = None,
    config: ConfigFile = None,
    host: Host = None,
    public_host: PublicHost = None,
    apps_domain: AppsDomain = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="HTTPS for API and apps with this certificate (PEM).", show_default=False)
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).", show_default=False)] = None,
    gateway_port: Annotated[int | None, _port("Public HTTP port of the apps.", _DEFAULT.gateway)] = None,
    api_port: Annotated[int | None, _port("Port of the API.", _DEFAULT.api)] = None,
    https_port: Annotated[int | None, _port("HTTPS port of the apps.", 8443)] = None,
    api_https_port: Annotated[int | None, _port("HTTPS port of the API.", 8444)] = None,
    git_port: Annotated[int | None, _port("Port of the Git server (SSH).", _DEFAULT.git)] = None,
    deploy_port: Annotated[int | None, _port("Port of Deploy (loopback).", _DEFAULT.deploy)] = None,
    agent_port: Annotated[int | None, _port("Port of the runtime-agent (loopback).", _DEFAULT.agent)] = None,
    registry_port: Annotated[int | None, _port("Port of the registry (loopback).", _DEFAULT.registry)] = None,
    runner_port: Annotated[int | None, _port("Port of the Runner's metrics (loopback).", _DEFAULT.runner)] = None,
    postgres: Annotated[
        str | None,
        typer.Option(metavar="embedded|none|URL", help="PostgreSQL for apps.", show_default="embedded, where it is installed"),
    ] = None,
    mongo: Mongo = None,
    slots: Annotated[int | None, typer.Option(min=1, max=64, help="Builds at the same time.", show_default="1")] = None,
    install: Annotated[
        bool, typer.Option("--install", help="Write a systemd unit with these options and start it, instead of running here.")
    ] = False,
) -> None:
    """Run the whole platform on this machine: API, Deploy, a Runner, the runtime-agent, HAProxy, a registry and Git.

    What is set here wins over the environment, and the environment over funai.toml in the data dir, which the first start
    writes with its comments. Ctrl-C stops it in order; app containers stay and are found again by the next start.
    """
    ports = {
        "gateway": gateway_port,
        "api": api_port,
        "git": git_port,
        "deploy": deploy_port,
        "agent": agent_port,
        "registry": registry_port,
        "runner": runner_port,
    }
    flags = {("ports", name): port for name, port in ports.items()} | {
        ("server", "host"): host,
        ("server", "public_host"): public_host,
        ("server", "apps_domain"): apps_domain,
        ("https", "certificate"): tls_certificate,
        ("https", "key"): tls_key,
        ("https", "port"): https_port,
        ("https", "api_port"): api_https_port,
        ("builds", "slots"): slots,
        ("databases", "postgres"): postgres,
        ("databases", "mongo"): mongo,
    }
    given: Flags = {name: value for name, value in flags.items() if value is not None}
    if install:
        raise typer.Exit(unit.install(config, data_dir, given))
    raise typer.Exit(_run(_up(config, data_dir, given)))


def _run(work: Coroutine[None, None, int]) -> int:
    # Not uvloop: its children inherit copies of their own output pipes, so reading what `podman run --detach` says
    # would wait until the container (which keeps them open through conmon) ends.
    return asyncio.run(work)


async def _up(config: Path | None, data_dir: Path | None, flags: Flags) -> int:
    from funai.base.aio import stop_on_signals  # noqa: PLC0415
    from funai.base.process.openfiles import allow_open_files  # noqa: PLC0415
    from funai.standalone import up as platform  # noqa: PLC0415

    show = _Terminal().show
    try:
        loaded = choosing.read(config, data_dir, flags)
        choosing.set_proxies(loaded)
        proxies.read()
        options = choosing.options_of(loaded)
        _log_to(options.data_dir)
        if config is None and template.ensure(options.data_dir / FILE):
            show(f"[dim]· {phrase('config_written', file=options.data_dir / FILE)}[/dim]")
    except ConfigError as e:
        return _refused(e)
    for line in [*unread(os.environ), *choosing.idle(loaded, options)]:
        show(f"[yellow]! {escape(line)}[/yellow]")
    allow_open_files()
    stop = asyncio.Event()
    stop_on_signals(stop)
    began = time.monotonic()

    def ready(running: Platform) -> None:
        for line in ignored(os.environ, options.given.fixed):
            show(f"[yellow]! {escape(line)}[/yellow]")
        show(_welcome(running, time.monotonic() - began))

    try:
        await platform.run(options, stop, ready, lambda line: show(f"[dim]· {escape(line)}[/dim]"))
    except ConfigError as e:
        return _refused(e)
    show(f"[dim]{phrase('stopped')}[/dim]")
    return 0


class _Terminal:
    """Where ``up`` says how it goes. A platform outlives its terminal, and the reader of its pipe."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def show(self, what: RenderableType) -> None:
        with contextlib.suppress(OutputLost):
            self._console.print(what)


def _refused(error: ConfigError) -> int:
    for problem in error.problems:
        sys.stderr.write(f"funai: {problem}\n")
    return EXIT_NOT_READY if isinstance(error, NotReady) else EXIT_CONFIG


def _log_to(data_dir: Path) -> None:
    from funai.base.observability import log  # noqa: PLC0415

    folder = data_dir.expanduser() / "log"
    # First of all that is made in the data dir: the databases lie there too, and no other user may read them.
    try:
        for private in (folder.parent, folder):
            private.mkdir(parents=True, exist_ok=True, mode=0o700)
        log.configure("up", file=folder / "funai.log")
    except OSError as e:
        raise ConfigError([f"--data-dir {data_dir}: {e.filename or folder}: {e.strerror}; give a folder you may write"]) from e


def _git_fingerprint(running: Platform) -> str:
    from funai.git.server import fingerprint  # noqa: PLC0415  # asyncssh

    return fingerprint(running.layout.git_host_key)


def _welcome(running: Platform, seconds: float) -> Table:
    o = running.options
    table = Table(
        title=phrase("is_up", seconds=f"{seconds:.1f}"),
        show_header=False,
        box=None,
        title_justify="left",
        title_style="bold green",
    )
    table.add_row("API", o.public_api_url)
    table.add_row(phrase("apps"), o.apps_url.replace("{app}", "{appId}"))
    table.add_row("Git", f"ssh://git@{o.public_host}:{o.ports.git}/funai/u{{userId}}-app{{appId}}.git")
    table.add_row("", phrase("git_key", fingerprint=_git_fingerprint(running)))
    table.add_row(phrase("engine"), f"{running.engine.kind} {running.engine.version} ({running.engine.why})")
    table.add_row(phrase("state"), str(o.data_dir))
    table.add_row(phrase("log"), str(running.layout.log / "funai.log"))
    if running.first_start:
        table.add_row(phrase("admin"), f"{running.admin_user} / {running.secrets.admin_password.get_secret_value()}")
    else:
        table.add_row(phrase("admin"), phrase("admin_known", user=running.admin_user, file=running.layout.secrets_file))
    if running.adopted:
        table.add_row(phrase("adopted"), phrase("adopted_what", names=", ".join(running.adopted)))
    server = "" if o.public_api_url == DEFAULT_SERVER else f" --server {o.public_api_url}"
    table.add_row(phrase("next"), phrase("next_steps", server=server))
    return table


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running until Ctrl-C; its data dir stays until then.")] = False,
    example: Annotated[Path | None, typer.Option(help="The project to deploy.", show_default="examples/hello-node")] = None,
) -> None:
    """The whole story in one go: user, app, git push, deploy, change, redeploy, prebuilt image; then clean up."""
    raise typer.Exit(_run(_demo(keep, example or _find_example())))


def _find_example() -> Path:
    for folder in (Path.cwd() / "examples" / "hello-node", _CHECKOUT / "examples" / "hello-node", _PACKAGED):
        if folder.is_dir():
            return folder
    sys.stderr.write(f"funai: {phrase('demo_no_example')}\n")
    raise typer.Exit(EXIT_CONFIG)


async def _demo(keep: bool, example: Path) -> int:
    from funai.base.aio import stop_on_signals  # noqa: PLC0415
    from funai.standalone import demo as script  # noqa: PLC0415
    from funai.standalone.up import platform  # noqa: PLC0415

    console = Console(highlight=False)
    folder = Path(tempfile.mkdtemp(prefix="funai-demo-"))
    options = UpOptions(data_dir=folder, ports=Ports.free(), slots=1, postgres=NONE)
    stop = asyncio.Event()
    stop_on_signals(stop)
    began = time.monotonic()
    code = 1

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s[/dim]  {line}")

    try:
        check_options(options)
        _log_to(folder)
        async with platform(options, say) as (running, _):
            say(phrase("demo_up"))
            try:
                story = await _until(script.tell(running, example, say), stop)
                _show(console, story, time.monotonic() - began)
                code = 0
                if keep:
                    console.print(_welcome(running, time.monotonic() - began))
                    console.print(phrase("demo_kept", user=script.USER, password=script.PASSWORD))
                    await stop.wait()
            finally:
                await script.clean(running, say)
    except (ConfigError, FunaiError, script.DemoFailed, _Interrupted) as e:
        sys.stderr.write(f"funai demo: {e}\n")
        code = EXIT_CONFIG if isinstance(e, ConfigError) else 1
        _keep_log(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return code


class _Interrupted(Exception):
    """Ctrl-C or SIGTERM in the middle of the story."""


async def _until(work: Coroutine[None, None, Story], stop: asyncio.Event) -> Story:
    """The work's result, unless ``stop`` comes first."""
    try:
        return await unless(stop, work)
    except Stopped:
        raise _Interrupted(phrase("demo_interrupted")) from None


def _show(console: Console, story: Story, seconds: float) -> None:
    table = Table(title=phrase("demo_times"), title_justify="left")
    table.add_column(phrase("demo_step"))
    table.add_column(phrase("demo_seconds"), justify="right")
    table.add_column(phrase("demo_phases"))
    for row in story.rows:
        phases = " · ".join(f"{phase_words(name.upper())} {ms}" for name, ms in row.phases_ms.items())
        table.add_row(row.step, f"{row.seconds:.2f}", phases)
    table.add_row(phrase("demo_all"), f"{seconds:.2f}", "", end_section=True)
    console.print(table)
    for name, url in story.urls:
        console.print(f"[green]✓[/green] {name}: {url}")


def _keep_log(folder: Path) -> None:
    """After a failure the log outlives the data dir."""
    kept = Path(tempfile.gettempdir()) / f"funai-demo-{os.getpid()}.log"
    with contextlib.suppress(OSError):
        shutil.copyfile(folder / "log" / "funai.log", kept)
        sys.stderr.write(f"funai demo: {phrase('demo_log', file=kept)}\n")
