"""``node join`` and ``node leave``, on the machine itself."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from funai.base.process import ports
from funai.base.process.programs import find_program
from funai.cli.diagnosis import Check, Level, worst
from funai.cli.exits import Exit
from funai.cli.session import Ended, Refused, Session
from funai.cli.verb import verb
from funai.contracts.errors import ConfigError
from funai.i18n.cli import phrase as words
from funai.standalone.node import join as story
from funai.standalone.node import service, settings_file
from funai.standalone.node.settings_file import NAME, SECRETS, Addresses
from funai.standalone.parts import packages
from funai.standalone.parts.steps import Steps

CONFIG = Path("/etc/funai/agent.properties")
AGENT_PORT, GATEWAY_PORT = 7005, 8000
FROM_ENVIRONMENT = ("RUNTIME_AGENT_TOKEN", "REGISTRY_URL", "REGISTRY_USERNAME", "REGISTRY_PASSWORD", "RUNTIME_ENGINE_SOCKET")
"""Settings that are written into the file when the environment has them."""
Config = Annotated[Path, typer.Option("--config", "-c", help="The agent's settings file.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="Make this machine a runtime node of a platform: join, leave.")
    verb(group, "join", server=False, epilog="funai node join --deploy-url http://10.0.0.2:7002 --name node-4")(join)
    verb(group, "leave", server=False)(leave)
    app.add_typer(group, name="node", rich_help_panel="Operate")


async def join(
    session: Session,
    deploy_url: Annotated[str, typer.Option("--deploy-url", help="Deploy's address, such as http://10.0.0.2:7002.")],
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="FUNAI_JOIN_TOKEN",
            help="Of `funai nodes token`. Other users see arguments: better by the variable, or by standard input.",
            show_default=False,
            show_envvar=True,
        ),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="The node's name.", show_default="this machine's")] = None,
    agent_url: Annotated[
        str | None,
        typer.Option("--agent-url", help="Where Deploy and Runners reach the agent.", show_default="this machine:7005"),
    ] = None,
    gateway_url: Annotated[
        str | None,
        typer.Option("--gateway-url", help="Where people reach the apps: an edge's address.", show_default="this machine:8000"),
    ] = None,
    gateway_port: Annotated[
        int | None,
        typer.Option("--gateway-port", min=1, max=65535, help="The gateway's port here.", show_default="8000"),
    ] = None,
    config: Config = CONFIG,
    foreground: Annotated[bool, typer.Option("--foreground", help="Run the agent here instead of as a service.")] = False,
    wait: Annotated[float, typer.Option("--wait", help="Seconds for the first heartbeat.", min=1)] = 120,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, say what would be done, and do nothing.")] = False,
) -> None:
    """Join a platform: check this machine, trade the token, write the settings, start the agent, wait for its heartbeat.

    Asked again it makes sure of all that; a token is only needed while Deploy does not know this machine.
    """
    name, at, config = (
        name or socket.gethostname(),
        _addresses(deploy_url, agent_url, gateway_url, gateway_port),
        config.absolute(),
    )
    extra = {key: session.environ[key] for key in FROM_ENVIRONMENT if session.environ.get(key)}
    wish = story.Wish(name, at, config, _engine(), session.language, lambda: _token(session, token), extra, wait)
    if not dry_run:
        await asyncio.to_thread(_set_up, wish, systemd=service.has_systemd() and not foreground)
    found = await _look(wish)
    _tell(session, found)
    if dry_run:
        keys = {**settings_file.settings(name, at, engine=wish.engine, kept={}), **dict.fromkeys(SECRETS & {*extra}, "…")}
        session.out.document({"ok": worst(found) is not Level.FAIL, "checks": [c.to_json() for c in found], "settings": keys})
        session.out.line(words("join_would", session.language, file=config, keys=", ".join(keys)))
    if worst(found) is Level.FAIL:
        raise Ended(Exit.FAILED)
    if not dry_run:
        await _joined(session, wish, _service(session, foreground=foreground))


async def _joined(session: Session, wish: story.Wish, how: service.Service) -> None:
    if isinstance(how, service.Foreground):
        _end_with_us(how)
    try:
        seen = await story.join(wish, how, session.out.line)
    except asyncio.CancelledError:
        raise Ended(Exit.INTERRUPTED) from None
    except story.NotHeard as e:
        session.out.error(str(e), reason="NOT_HEARD", exitCode=int(Exit.PLATFORM))
        if isinstance(how, service.Foreground):
            how.stop(wish.config)
        raise Ended(Exit.PLATFORM) from e
    session.out.document(seen.to_wire())
    session.out.line(words("join_next", session.language, gateway=wish.at.gateway, agent=wish.at.agent))
    if isinstance(how, service.Foreground) and how.child:
        await asyncio.to_thread(how.child.wait)


def _end_with_us(how: service.Foreground) -> None:
    """A signal ends the agent, and before there is one this command."""
    task = asyncio.current_task()

    def end() -> None:
        if how.child:
            how.child.terminate()
        elif task:
            task.cancel()

    for sig in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(sig, end)


async def leave(
    session: Session,
    config: Config = CONFIG,
    with_apps: Annotated[bool, typer.Option("--with-apps", help="Also while apps are placed here: they go off line.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Leave the platform: Deploy forgets this node and its credential, then the agent and HAProxy stop."""
    given = settings_file.read(config)
    name, systemd = given.get(NAME), service.has_systemd()
    if not name:
        raise Refused(words("leave_unknown", session.language, file=config))
    port = given.get("RUNTIME_AGENT_PORT", "")
    if not systemd and (agent := ports.holder(int(port) if port.isdecimal() else AGENT_PORT)):
        raise Refused(words("leave_running", session.language, agent=agent))  # its supervisor would start it anew
    if not yes:
        if session.out.as_json or not sys.stdin.isatty():
            raise Refused(words("ask_no_tty", session.language))
        if not typer.confirm(words("leave_ask", session.language, node=name), err=True):
            raise Refused(words("aborted", session.language))
    how: service.Service = service.Systemd(_program()[0]) if systemd else service.Foreground(_program())
    apps = await story.leave(config, how, with_apps=with_apps)
    session.out.document({"node": name, "apps": apps})
    if apps is None:
        session.out.line(words("left_before", session.language, node=name))
    session.out.line(words("left", session.language, node=name, count=apps or 0, file=config))


def _addresses(deploy_url: str, agent_url: str | None, gateway_url: str | None, gateway_port: int | None) -> Addresses:
    """A gateway's URL at the agent's own host has the gateway's port; another is an edge's. Raises ConfigError for no URL."""
    for flag, url in (("--deploy-url", deploy_url), ("--agent-url", agent_url), ("--gateway-url", gateway_url)):
        if url is not None and not url.startswith(("http://", "https://")):
            raise ConfigError([f"{flag} {url}: give a URL such as http://10.0.0.2:7002"])
    here = "" if agent_url and gateway_url else settings_file.own_address(deploy_url)
    agent = (agent_url or f"http://{here}:{AGENT_PORT}").rstrip("/")
    port = gateway_port or GATEWAY_PORT
    gateway = (gateway_url or f"http://{here}:{port}").rstrip("/")
    if gateway_port is None and urlsplit(gateway).hostname == urlsplit(agent).hostname:
        port = settings_file.port_of(gateway)
    return Addresses(deploy_url.rstrip("/"), agent, gateway, port)


def _token(session: Session, given: str | None) -> str:
    if given and given != "-":
        return given.strip()
    if not given and sys.stdin.isatty():
        return str(typer.prompt("token", hide_input=True, err=True)).strip()
    if line := sys.stdin.readline().strip():
        return line
    raise Refused(words("join_no_token", session.language))


def _engine() -> str:
    """Podman, unless only Docker's daemon is here."""
    return "docker" if packages.DOCKER_SOCKET.is_socket() and not find_program("podman") else "podman"


def _socket(wish: story.Wish) -> str:
    default = "/run/podman/podman.sock" if wish.engine == "podman" else "/var/run/docker.sock"
    return wish.extra.get("RUNTIME_ENGINE_SOCKET", default).removeprefix("unix://")


def _needs(wish: story.Wish) -> list[packages.Need]:
    proxy = [need for need in packages.PLATFORM if need.package == "haproxy"]
    return [*proxy, *(packages.PODMAN if wish.engine == "podman" else ())]


def _set_up(wish: story.Wish, *, systemd: bool) -> None:
    """Have HAProxy and an engine, from Debian's packages where they are missing. Raises ConfigError."""
    if os.geteuid() != 0:
        return
    try:
        packages.ensure(_needs(wish), Steps(Path(tempfile.gettempdir()) / "funai-node-join.log").run, interactive=False)
    except packages.NotInstalled as e:
        raise ConfigError(str(e).splitlines()) from e
    if systemd and wish.engine == "podman":
        service.Systemd(_program()[0]).open_engine()


async def _look(wish: story.Wish) -> list[Check]:
    return await story.checks(
        wish,
        root=os.geteuid() == 0,
        packages=packages.missing(_needs(wish)),
        socket=_socket(wish),
        taken=lambda port: ports.holder(port) is not None,
    )


def _tell(session: Session, checks: list[Check]) -> None:
    marks = {Level.OK: ("✓", "green"), Level.WARN: ("!", "yellow"), Level.FAIL: ("✗", "red")}
    for c in checks:
        mark, style = marks[c.level]
        session.out.line(f"{mark} {c.name}: {c.detail}".rstrip(": "), style)
        if c.mend:
            session.out.line(f"    {session.say('next')}: {c.mend}")


def _service(session: Session, *, foreground: bool) -> service.Service:
    if foreground:
        return service.Foreground(_program())
    if not service.has_systemd():
        raise Refused(words("join_no_systemd", session.language))
    return service.Systemd(_program()[0])


def _program() -> list[str]:
    found = shutil.which(sys.argv[0]) if sys.argv else None
    return [str(Path(found).absolute())] if found else [sys.executable, "-m", "funai.cli.main"]
