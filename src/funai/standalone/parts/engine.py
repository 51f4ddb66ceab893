"""Find a container engine that works here, by running a container with it.

``choose`` answers the saved choice while nothing it depends on has changed, else probes and saves. Nothing of the
machine's own configuration is touched: where Podman needs another one, a private file is written and named by
``CONTAINERS_CONF`` in the choice's ``environment``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import resource
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from funai.base.files import write_whole
from funai.base.home import user_folder
from funai.base.process.proc import Command, Finished, ProcessMissing, ProcessTimeout, run
from funai.base.process.programs import find_program
from funai.standalone.parts import engine_conf, probe
from funai.standalone.parts.probe import Limit
from funai.standalone.phrases import phrase

COMMAND_SECONDS = 30
NETAVARK = (Path("/usr/lib/podman/netavark"), Path("/usr/libexec/podman/netavark"))
DOCKER_SOCKET = "/var/run/docker.sock"
_ENGINE_VARIABLES = ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "DOCKER_HOST")
Say = Callable[[str], None]


def silent(_line: str) -> None:
    """Say nothing: the default for callers that show no progress."""


class EngineKind(StrEnum):
    PODMAN = "podman"
    DOCKER = "docker"


class NoEngine(Exception):
    """No engine could run the probe container. The text says what each one answered."""


class EngineChoice(BaseModel):
    """An engine that ran the probe container. ``cli`` and ``service`` build commands that carry its environment."""

    model_config = ConfigDict(frozen=True)

    kind: EngineKind
    binary: str
    version: str
    rootless: bool
    socket: Path | None
    """Where its API answers already (Docker). None for Podman: start ``service(path)`` and use that path."""
    environment: dict[str, str]
    """Variables that every command of this engine needs (``CONTAINERS_CONF`` when a private file was necessary)."""
    why: str
    """The configuration in use, in words."""
    limits: tuple[Limit, ...]
    """The limits seen in force in the probe container. A missing one must not be promised to anybody."""
    host_reaches_containers: bool
    """True when the host can connect to a container's own address; otherwise ports must be published."""
    fingerprint: str = ""
    """What the answer depends on; when it changes the engine is probed again."""

    def cli(self, *words: str) -> Command:
        return Command((self.binary, *words), env=self.environment)

    def service(self, path: Path) -> Command | None:
        """The command that serves the Docker-compatible API on a unix socket; None when ``socket`` already does."""
        if self.kind is EngineKind.DOCKER:
            return None
        return self.cli("system", "service", "--time=0", f"unix://{path}")


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the choice and the private files are kept: ``$XDG_DATA_HOME/funai/engine`` or its default."""
    folder = user_folder("XDG_DATA_HOME", ".local/share", environ)
    if folder is None:
        raise NoEngine("this account has no home folder, and an engine keeps its images there; set HOME")
    return folder / "funai" / "engine"


async def choose(directory: Path | None = None, say: Say = silent) -> EngineChoice:
    """The engine to use. Raises NoEngine. ``FUNAI_ENGINE=podman|docker`` narrows the search."""
    directory = directory or state_dir()
    saved = load(directory)
    if saved is not None and saved.fingerprint == fingerprint(saved.kind, saved.binary) and await _still_answers(saved):
        return saved
    choice = await detect(directory, say)
    write_whole(directory / "engine.json", choice.model_dump_json(indent=2) + "\n")
    return choice


def load(directory: Path) -> EngineChoice | None:
    """The saved choice, or None when there is none that can be read."""
    try:
        return EngineChoice.model_validate_json((directory / "engine.json").read_text())
    except (OSError, ValidationError):
        return None


def fingerprint(kind: EngineKind, binary: str) -> str:
    """Changes when the kernel, the program, its own variables or this process's hard limits do."""
    try:
        stat = Path(binary).stat()
        program = f"{stat.st_size}:{stat.st_mtime_ns}"
    except OSError:
        program = "gone"
    wanted = os.environ.get("FUNAI_ENGINE", "") or kind
    named = [os.environ.get(name, "") for name in _ENGINE_VARIABLES]
    return f"{kind}/{wanted}/{binary}/{program}/{platform.release()}/{os.geteuid()}/{_host_facts()}/{named}"


async def detect(directory: Path, say: Say = silent) -> EngineChoice:
    """Probe Podman, then Docker. The first with which all limits work is taken, else the one with the most."""
    directory.mkdir(parents=True, exist_ok=True)
    wanted = os.environ.get("FUNAI_ENGINE", "")
    refusals: list[str] = []
    found: list[EngineChoice] = []
    for kind in EngineKind:
        binary = find_program(kind)
        if binary is None or wanted not in ("", kind):
            continue
        try:
            choice = await (_podman(binary, directory, say) if kind is EngineKind.PODMAN else _docker(binary, say))
        except NoEngine as e:
            refusals.append(f"{kind}: {e}")
            continue
        if len(choice.limits) == len(Limit):
            return choice
        found.append(choice)
    if found:
        return max(found, key=lambda c: len(c.limits))
    raise NoEngine("\n".join(refusals) or f"neither podman nor docker is installed{f' ({wanted} wanted)' if wanted else ''}")


async def _podman(binary: str, directory: Path, say: Say) -> EngineChoice:
    refusals: dict[str, str] = {}
    best: tuple[EngineChoice, str | None] | None = None
    for rung in engine_conf.ladder(_host_facts()):
        environment: dict[str, str] = {}
        if rung.conf is not None:
            write_whole(directory / "containers.conf", rung.conf)
            environment["CONTAINERS_CONF"] = str(directory / "containers.conf")
        try:
            choice = await _probe(EngineKind.PODMAN, binary, environment, rung.why)
        except NoEngine as e:
            refusals.setdefault(str(e), rung.why)
            say(phrase("podman_other_conf", why=rung.why))
            continue
        if best is None or len(choice.limits) > len(best[0].limits):
            best = choice, rung.conf
        if len(choice.limits) == len(Limit):
            break
    if best is None:
        raise NoEngine("\n  ".join(f"with {why}: {said}" for said, why in refusals.items()))
    _settle(directory / "containers.conf", best[1])
    return best[0]


def _settle(path: Path, conf: str | None) -> None:
    if conf is None:
        path.unlink(missing_ok=True)
    else:
        write_whole(path, conf)


async def _docker(binary: str, say: Say) -> EngineChoice:
    if not await asyncio.to_thread(_unix_answers, _docker_socket()):
        raise NoEngine(f"no daemon answers on {_docker_socket()}")
    try:
        return await _probe(EngineKind.DOCKER, binary, {}, "the machine's own daemon")
    except NoEngine:
        say(phrase("docker_cant"))
        raise


def _docker_socket() -> Path:
    return Path(os.environ.get("DOCKER_HOST", "").removeprefix("unix://") or DOCKER_SOCKET)


async def _probe(kind: EngineKind, binary: str, environment: dict[str, str], why: str) -> EngineChoice:
    """Run the probe with all limits; when that fails, one limit at a time tells which of them can be had."""

    async def ask(*words: str) -> Finished:
        return await _ask(Command((binary, *words), env=environment))

    info: dict[str, Any] = json.loads((await _checked(ask("version", "--format", "{{json .}}"))).out)
    async with _probe_image(ask) as image:
        try:
            limits, reached = await _run_probe(ask, image, list(Limit))
        except NoEngine as refusal:
            if not await _works_with(ask, image, None):
                raise refusal from None
            working = [limit for limit in Limit if await _works_with(ask, image, limit)]
            limits, reached = await _run_probe(ask, image, working)
    return EngineChoice(
        kind=kind,
        binary=binary,
        version=_version(info),
        rootless=kind is EngineKind.PODMAN and os.geteuid() != 0,
        socket=_docker_socket() if kind is EngineKind.DOCKER else None,
        environment=environment,
        why=why,
        limits=limits,
        host_reaches_containers=reached,
        fingerprint=fingerprint(kind, binary),
    )


def _version(info: dict[str, Any]) -> str:
    """The server's version where there is one: Podman without a service has only a client."""
    sides: list[dict[str, Any]] = [info.get("Server") or {}, info.get("Client") or {}]
    return next((str(side["Version"]) for side in sides if side.get("Version")), "unknown")


Ask = Callable[..., Any]


@contextlib.asynccontextmanager
async def _probe_image(ask: Ask) -> AsyncIterator[str]:
    name = f"localhost/funai-probe:{os.getpid()}"
    with tempfile.NamedTemporaryFile(suffix=".tar") as tar:
        tar.write(probe.image_tar(_host_links()))
        tar.flush()
        await _checked(ask("import", tar.name, name))
    try:
        yield name
    finally:
        await ask("rmi", "--force", name)


def _host_links() -> dict[str, str]:
    """The host's ``/bin -> usr/bin`` and the like: what makes its own ``/usr`` enough to run a program."""
    tops = [p for p in Path("/").iterdir() if p.is_symlink() and p.name.startswith(("bin", "sbin", "lib"))]
    return {p.name: str(p.readlink()) for p in tops}


async def _works_with(ask: Ask, image: str, limit: Limit | None) -> bool:
    try:
        await _run_probe(ask, image, [limit] if limit else [])
    except NoEngine:
        return False
    return True


async def _run_probe(ask: Ask, image: str, limits: list[Limit]) -> tuple[tuple[Limit, ...], bool]:
    """Start, ask, connect, remove. Raises NoEngine with the engine's own words when the container does not start."""
    name = f"funai-probe-{os.getpid()}"
    try:
        await _checked(ask(*probe.run_words(image, name, limits)))
        seen = probe.limits_seen((await ask(*probe.ask_words(name))).text)
        where = await ask("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", name)
        address = next(iter(where.text.split()), "")
        return seen, bool(address) and await asyncio.to_thread(_host_reaches, address)
    finally:
        await ask("rm", "--force", name)


def _host_reaches(address: str) -> bool:
    """A closed port that refuses is an answer: the packets went both ways."""
    with socket.socket() as sock:
        sock.settimeout(2)
        try:
            sock.connect((address, 9))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
        return True


def _unix_answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(2)
        return sock.connect_ex(str(path)) == 0


async def _still_answers(choice: EngineChoice) -> bool:
    conf = choice.environment.get("CONTAINERS_CONF")
    if conf is not None and not Path(conf).is_file():
        return False
    return choice.socket is None or await asyncio.to_thread(_unix_answers, choice.socket)


async def _ask(command: Command) -> Finished:
    try:
        return await run(command, timeout=COMMAND_SECONDS)
    except ProcessTimeout as e:
        raise NoEngine(str(e)) from e
    except ProcessMissing as e:
        raise NoEngine(str(e)) from e


async def _checked(answer: Any) -> Finished:
    finished: Finished = await answer
    if finished.code != 0:
        last = finished.error_text.splitlines()[-1:] or [f"exit {finished.code}"]
        raise NoEngine(last[0])
    return finished


def _host_facts() -> engine_conf.HostFacts:
    def hard(which: int) -> int:
        limit = resource.getrlimit(which)[1]
        return engine_conf.UNLIMITED if limit == resource.RLIM_INFINITY else limit

    return engine_conf.HostFacts(
        nofile_hard=hard(resource.RLIMIT_NOFILE),
        nproc_hard=hard(resource.RLIMIT_NPROC),
        runtimes=tuple(r for r in ("crun", "runc") if find_program(r)),
        netavark=any(p.exists() for p in NETAVARK),
    )
