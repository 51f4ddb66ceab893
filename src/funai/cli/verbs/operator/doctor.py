"""``doctor``: what could be wrong, from here to the platform, each with its remedy."""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from funai.cli.diagnosis import Check, Level, engine_verdict, fingerprint, port_verdict, worst
from funai.cli.exits import Exit
from funai.cli.session import Ended, Refused, Session
from funai.cli.verb import verb
from funai.cli.verbs.keys import DEFAULT_KEYS
from funai.cli.verbs.operator import fleet
from funai.i18n.labels import label

if TYPE_CHECKING:
    from pathlib import Path

PORTS = {"API": 8080, "Deploy": 7002, "runtime-agent": 7005, "Runner": 7003, "gateway": 8000, "Git": 2222, "registry": 5000}


def register(app: typer.Typer) -> None:
    verb(app, "doctor", panel="Operate")(doctor)


async def doctor(
    session: Session,
    what: Annotated[
        str | None, typer.Argument(metavar="[fleet]", help="fleet: whether the platform's services reach each other.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(help="With fleet: also deploy this image, roll back and delete the app.", show_default=False)
    ] = None,
    repo: Annotated[
        str | None, typer.Option(help="With fleet: also deploy this repository (an ssh:// address).", show_default=False)
    ] = None,
    seconds: Annotated[float, typer.Option(help="With fleet: a job may take so long.", min=1)] = 600,
    local: Annotated[bool, typer.Option("--local", help="Also check what running a platform on this machine needs.")] = False,
) -> None:
    """Check, step by step, why something might not work."""
    if what not in (None, "fleet") or ((image or repo) and not what):
        raise Refused("funai doctor fleet [--image IMAGE] [--repo SSH-URL]")
    if what:
        _tell(session, await _fleet(session, image, repo, seconds))
        return
    checks = [_config(session)]
    reached = await _server(session)
    checks.append(reached)
    if reached.level is not Level.FAIL:
        checks += await _account(session)
    checks.append(await _program(session, "git", "--version"))
    if local:
        checks += [
            await _engine(session),
            await _sandbox(session),
            *[await _program(session, name, flag) for name, flag in (("haproxy", "-v"), ("docker-registry", "--version"))],
        ]
        checks += [await _port(session, name, port) for name, port in PORTS.items()]
        checks += [_resolver_port(session), *await _services(session)]
    _tell(session, checks)


async def _fleet(session: Session, image: str | None, repo: str | None, seconds: float) -> list[Check]:
    from funai.contracts.errors import FunaiError

    reached = await _server(session)
    checks = [reached]
    if reached.level is Level.FAIL:
        return checks
    checks += await fleet.look(session)
    if (image or repo) and worst(checks) is not Level.FAIL:
        try:
            checks += [check async for check in fleet.walk(session, (await session.api.me()).id, image, repo, seconds)]
        except FunaiError as e:
            checks.append(Check("app", Level.FAIL, e.message(session.language)))
    return checks


def _tell(session: Session, checks: list[Check]) -> None:
    session.out.document({"ok": worst(checks) is not Level.FAIL, "checks": [c.to_json() for c in checks]})
    for c in checks:
        mark, style = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}[c.level]
        session.out.line(f"{mark} {label(c.name, session.language)}: {c.detail}", style)
        if c.mend:
            session.out.line(f"    {session.say('next')}: {c.mend}")
    if worst(checks) is Level.FAIL:
        raise Ended(Exit.FAILED)


def _config(session: Session) -> Check:
    file = session.config_file
    if file is None:
        return Check("config", Level.WARN, session.say("no_home"))
    if not file.exists():
        return Check("config", Level.WARN, session.say("doc_no_config", file=file), "funai login")
    mode = stat.S_IMODE(file.stat().st_mode)
    if mode & 0o077:
        return Check("config", Level.FAIL, session.say("doc_open_config", file=file, mode=f"{mode:o}"), f"chmod 600 {file}")
    return Check("config", Level.OK, str(file))


async def _server(session: Session) -> Check:
    from funai.contracts.errors import FunaiError

    began = time.monotonic()
    where = f"{session.access.server} ({session.access.source})"
    try:
        await session.api.healthy()
    except FunaiError as e:
        return Check("server", Level.FAIL, f"{where}: {e.message(session.language)}", session.say("doc_server_mend"))
    return Check("server", Level.OK, f"{where}, {1000 * (time.monotonic() - began):.0f} ms")


async def _account(session: Session) -> list[Check]:
    from funai.contracts.errors import FunaiError

    try:
        me = await session.api.me()
        keys = await session.api.keys()
        apps = await session.api.apps(me.id)
    except FunaiError as e:
        return [Check("login", Level.FAIL, e.message(session.language), "funai login")]
    checks = [Check("login", Level.OK, me.user_name), _ssh_key(session, {k.fingerprint for k in keys})]
    address = next((a.repo_ssh_url for a in apps if a.repo_ssh_url), None)
    if address:
        checks.append(await _git_server(session, address))
    return checks


def _ssh_key(session: Session, registered: set[str]) -> Check:
    folder = session.ssh_folder
    found = [f for name in DEFAULT_KEYS if (f := folder / name).is_file()]
    if not found:
        return Check("ssh key", Level.WARN, session.say("doc_no_key", folder=folder), session.say("doc_no_key_mend"))
    known = [f for f in found if _print_of(f) in registered]
    if not known:
        return Check("ssh key", Level.WARN, session.say("doc_key_unknown", file=found[0]), "funai keys add")
    return Check("ssh key", Level.OK, session.say("doc_key_known", file=known[0]))


def _print_of(file: Path) -> str | None:
    try:
        return fingerprint(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


async def _git_server(session: Session, address: str) -> Check:
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or 22
    if await _answers(host, port):
        return Check("git server", Level.OK, f"{host}:{port}")
    return Check(
        "git server", Level.FAIL, session.say("doc_git_away", where=f"{host}:{port}"), session.say("doc_git_away_mend")
    )


async def _answers(host: str, port: int) -> bool:
    import asyncio

    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


async def _output(*argv: str) -> str | None:
    """The program's words, None when it is missing or fails."""
    from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, run

    try:
        done = await run(Command(argv), timeout=20)
    except (ProcessMissing, ProcessTimeout):
        return None
    return done.text or done.error_text if done.code == 0 else None


async def _program(session: Session, program: str, flag: str) -> Check:
    words = await _output(program, flag)
    if words is None:
        return Check(program, Level.FAIL, session.say("doc_missing", program=program), f"apt-get install {program}")
    return Check(program, Level.OK, words.splitlines()[0] if words else program)


async def _engine(session: Session) -> Check:
    return engine_verdict(
        await _output("podman", "version", "--format", "{{.Version}}"),
        await _output("docker", "version", "--format", "{{.Server.Version}}"),
        session.language,
    )


async def _sandbox(session: Session) -> Check:
    """Whether the Runner on this machine can give each build a sandbox."""
    import os

    from funai.standalone.parts.sandbox import why_not

    if os.environ.get("RUNNER_SANDBOX") == "off":
        return Check("sandbox", Level.WARN, session.say("doc_sandbox_off"))
    if reason := await why_not():
        return Check(
            "sandbox", Level.FAIL, reason.zh if session.language == "zh" else reason.en, session.say("doc_sandbox_mend")
        )
    return Check("sandbox", Level.OK, session.say("doc_sandbox_ok"))


def _resolver_port(session: Session) -> Check:
    """Podman's resolver for apps needs UDP port 53 at each bridge."""
    from funai.base.process import ports

    if holder := ports.udp_holder(53):
        return Check("port 53", Level.WARN, session.say("doc_dns_port", holder=holder), session.say("doc_dns_port_mend"))
    return Check("port 53", Level.OK, session.say("doc_dns_port_free"))


async def _services(session: Session) -> list[Check]:
    """What this machine's own services found wrong, where one answers at its usual port."""
    agent = [Check("runtime-agent", Level.FAIL, problem) for problem in await _problems(session, PORTS["runtime-agent"])]
    return agent + [Check("deploy", Level.FAIL, problem) for problem in await _problems(session, PORTS["Deploy"])]


async def _problems(session: Session, port: int) -> list[str]:
    import httpx

    try:
        async with httpx.AsyncClient(trust_env=False, timeout=3) as http:
            told: dict[str, Any] = (await http.get(f"http://127.0.0.1:{port}/internal/health")).json()
        return [str(problem[session.language]) for problem in told.get("data", told).get("problems", [])]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, AttributeError):
        return []


async def _port(session: Session, name: str, port: int) -> Check:
    return port_verdict(name, port, await _answers("127.0.0.1", port), session.language)
