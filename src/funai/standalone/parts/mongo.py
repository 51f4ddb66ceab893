"""MongoDB for apps on one machine: a container of its published image, with a login, a folder and an address of its own.

The image's entry point makes the login. It does so with a server that asks for none on port 27017 of the loopback, so the first
container has no network at all, reads the password from a file (``MONGO_INITDB_ROOT_PASSWORD_FILE``), and is removed when
the login works. The one that stays has neither file nor variable; it uses the host's network, bound to one address on ``lo``
that apps reach and no other machine does, as an account without capabilities and with a limit of memory.

Its process here is ``podman start --attach``, which hands signals on and ends with the container: a :class:`Daemon` as others.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from funai.base.files import write_whole
from funai.base.observability import log
from funai.base.process.daemon import Daemon, Program, keep_up
from funai.base.process.ports import free_port
from funai.base.process.proc import Finished, ProcessMissing, ProcessTimeout, run
from funai.contracts.errors import ConfigError
from funai.standalone.layout import Layout, Secrets
from funai.standalone.parts import loaddress
from funai.standalone.parts.engine import EngineChoice, Say
from funai.standalone.parts.probe import Limit
from funai.standalone.phrases import phrase

USER = "funai"
ACCOUNT = 999
"""Of the image's own server: ``mongodb``."""
READY_SECONDS, STOP_SECONDS, PULL_SECONDS, COMMAND_SECONDS = 90, 60, 1800, 60
PROCESSES = 4096
SPEC = "dev.funai.spec"
_INSIDE = "/run/funai"


class NoMongo(Exception):
    """It can't be had here; the text says why."""


@dataclass(frozen=True)
class Wanted:
    """``image`` is a name as a person gave it, ``memory`` bytes; ``instance`` distinguishes platforms on one engine."""

    image: str
    memory: int
    instance: str

    @property
    def container(self) -> str:
        return f"funai-mongo.{self.instance}" if self.instance else "funai-mongo"


@dataclass(frozen=True)
class Server:
    """What runs: ``image`` is an id by now."""

    engine: EngineChoice
    layout: Layout
    wanted: Wanted
    image: str
    at: str
    port: int

    def words(self, *, first: bool) -> tuple[str, ...]:
        """The engine's words after ``run`` or ``create``. ``first``: of the container that makes the login."""
        data, limits = self.layout.mongo / "data", self.engine.limits
        cache = max(0.25, round(self.wanted.memory * 0.4 / (1 << 30), 2))
        bound = [f"--memory={self.wanted.memory}", f"--memory-swap={self.wanted.memory}"] if Limit.MEMORY in limits else []
        bound += [f"--pids-limit={PROCESSES}"] if Limit.PIDS in limits else []
        server = ("--auth", "--port", str(self.port), "--wiredTigerCacheSizeGB", str(cache), "--quiet")
        return (
            f"--name={self.wanted.container}{'-setup' if first else ''}",
            "--pull=never",
            f"--network={'none' if first else 'host'}",
            f"--user={ACCOUNT}:{ACCOUNT}",
            "--cap-drop=ALL",
            "--security-opt=no-new-privileges",
            "--log-driver=none",
            *bound,
            f"--volume={data}:/data/db",
            *(self._login() if first else ()),
            self.image,
            "mongod",
            *server,
            *(("--bind_ip", "127.0.0.1", "--unixSocketPrefix", _INSIDE) if first else ("--bind_ip", self.at, "--nounixsocket")),
        )

    def _login(self) -> tuple[str, ...]:
        variables = {"USERNAME": USER, "PASSWORD_FILE": f"{_INSIDE}/password"}
        given = (f"--env=MONGO_INITDB_ROOT_{name}={value}" for name, value in variables.items())
        return (*given, f"--volume={self.layout.mongo / 'setup'}:{_INSIDE}")

    @property
    def spec(self) -> str:
        return hashlib.sha256(json.dumps(self.words(first=False)).encode()).hexdigest()[:32]

    def url(self, secrets: Secrets) -> str:
        return f"mongodb://{USER}:{secrets.mongo.get_secret_value()}@{self.at}:{self.port}/?authSource=admin"


async def start(
    engine: EngineChoice, layout: Layout, secrets: Secrets, wanted: Wanted, teardown: AsyncExitStack, say: Say
) -> str:
    """The URL of the platform's account. Raises NoMongo."""
    if os.geteuid() != 0 or engine.rootless:
        raise NoMongo("a container that apps reach needs root and an engine that isn't rootless")
    image = await _image(engine, wanted.image, say)
    at = loaddress.of(wanted.instance, loaddress.MONGO)
    server = Server(engine, layout, wanted, image, at, _port(layout))
    _folders(layout)
    with _in_words():
        await loaddress.hold(at, teardown)
        await _make(server, secrets)
        write_whole(layout.mongo / "address", f"{at}:{server.port}\n")
        await _container(server)
        teardown.push_async_callback(_end, server)
        await keep_up([_daemon(server, secrets)], teardown)
    return server.url(secrets)


def address(layout: Layout) -> str | None:
    """``host:port`` of the last start; None where there never was one."""
    file = layout.mongo / "address"
    return file.read_text().strip() if file.exists() else None


async def answers(url: str) -> bool:
    """Whether the server knows our login."""
    client: AsyncMongoClient[dict[str, object]] = AsyncMongoClient(url, serverSelectionTimeoutMS=1000, connectTimeoutMS=1000)
    try:
        await client.admin.command("ping")
        await client.admin.command("listDatabases", nameOnly=True)
    except PyMongoError:
        return False
    finally:
        await client.close()
    return True


async def _image(engine: EngineChoice, name: str, say: Say) -> str:
    """Its id; pulled where it isn't here. Raises NoMongo."""
    found = await _ask(engine, "image", "inspect", name)
    if found.code:
        say(phrase("mongo_pull", image=name))
        pulled = await _ask(engine, "pull", name, seconds=PULL_SECONDS)
        if pulled.code:
            last = pulled.error_text.splitlines()[-1:] or [f"exit {pulled.code}"]
            raise NoMongo(f"{name} can't be pulled: {last[0][-400:]}")
        found = await _ask(engine, "image", "inspect", name)
    try:
        about = json.loads(found.out)[0]
        image, digest = str(about["Id"]), str(about.get("Digest") or next(iter(about.get("RepoDigests") or ["?"])))
    except (ValueError, LookupError, TypeError) as e:
        raise NoMongo(f"{name}: the engine does not say which image that is") from e
    say(phrase("mongo_image", image=name, digest=digest.rpartition("@")[2]))
    return image


def _port(layout: Layout) -> int:
    """Chosen once: apps have it in their environment. Never 27017, where the entry point's first server listens."""
    known = address(layout)
    return int(known.rpartition(":")[2]) if known else free_port()


def _folders(layout: Layout) -> None:
    """All of it belongs to the image's account, also what came out of a backup."""
    layout.mongo.mkdir(mode=0o700, exist_ok=True)
    data = layout.mongo / "data"
    if not (layout.mongo / "made").exists():  # half of one, left by a kill: nothing is in it yet
        shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700, exist_ok=True)
    if data.stat().st_uid != ACCOUNT:
        for folder, _, files in os.walk(data):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chown(path, ACCOUNT, ACCOUNT, follow_symlinks=False)


async def _make(server: Server, secrets: Secrets) -> None:
    """The login, once. Raises ConfigError."""
    made, folder = server.layout.mongo / "made", server.layout.mongo / "setup"
    if made.exists():
        return
    engine, name = server.engine, f"{server.wanted.container}-setup"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    write_whole(folder / "password", secrets.mongo.get_secret_value())
    for path in (folder, folder / "password"):
        os.chown(path, ACCOUNT, ACCOUNT)
    await _ask(engine, "rm", "--force", "--volumes", name)
    command = engine.cli("run", "--rm", *server.words(first=True))
    layout, door = server.layout, os.open(folder, os.O_PATH | os.O_DIRECTORY)
    # By its descriptor: a socket's path has at most 107 bytes, and a data dir's may be nearly as long.
    socket = f"%2Fproc%2Fself%2Ffd%2F{door}%2Fmongodb-{server.port}.sock"
    url = f"mongodb://{USER}:{secrets.mongo.get_secret_value()}@{socket}/?authSource=admin"

    async def ready() -> bool:
        return (folder / f"mongodb-{server.port}.sock").exists() and await answers(url)

    program = Program("mongo-setup", command.argv, command.env or {})
    setup = Daemon(program, layout.run, layout.log, ready, ready_seconds=READY_SECONDS)
    try:
        await setup.ensure()
        await _ask(engine, "stop", "-t", str(STOP_SECONDS), name)
        write_whole(made, "")
    finally:
        os.close(door)
        await setup.stop()
        await _ask(engine, "rm", "--force", "--volumes", name)
        shutil.rmtree(folder, ignore_errors=True)


async def _container(server: Server) -> None:
    """The one that stays: as it is where nothing of it changed, else made anew around the same folder. Raises NoMongo."""
    engine, name = server.engine, server.wanted.container
    found = await _ask(engine, "inspect", "--format", f'{{{{index .Config.Labels "{SPEC}"}}}}', name)
    if found.code == 0 and found.text == server.spec:
        return
    if found.code == 0:
        await _ask(engine, "stop", "-t", str(STOP_SECONDS), name)
        await _ask(engine, "rm", "--force", "--volumes", name)
    made = await _ask(engine, "create", f"--label={SPEC}={server.spec}", *server.words(first=False))
    if made.code:
        raise NoMongo(made.error_text[-400:])


def _daemon(server: Server, secrets: Secrets) -> Daemon:
    command = server.engine.cli("start", "--attach", server.wanted.container)
    url = server.url(secrets)

    async def ready() -> bool:
        return await answers(url)

    program = Program("mongo", command.argv, command.env or {}, server.spec)
    return Daemon(program, server.layout.run, server.layout.log, ready, ready_seconds=READY_SECONDS)


async def _end(server: Server) -> None:
    """Also when the process that was attached to it ended before it."""
    try:
        await _ask(server.engine, "stop", "-t", str(STOP_SECONDS), server.wanted.container)
    except NoMongo as e:
        log.get("up").warning("mongo.not_stopped", container=server.wanted.container, why=str(e))


async def _ask(engine: EngineChoice, *words: str, seconds: float = COMMAND_SECONDS + STOP_SECONDS) -> Finished:
    """Raises NoMongo when the engine doesn't answer."""
    try:
        return await run(engine.cli(*words), timeout=seconds)
    except (ProcessMissing, ProcessTimeout) as e:
        raise NoMongo(str(e)) from e


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (ConfigError, loaddress.NoAddress) as e:
        hint = cpu_hint(platform.machine(), Path("/proc/cpuinfo").read_text(errors="replace"))
        raise NoMongo(f"{e}{hint}") from e


def cpu_hint(machine: str, cpuinfo: str) -> str:
    """What to say beside a start that failed on a CPU which MongoDB 5 and later don't run on."""
    flags = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), "")
    lacks = machine == "x86_64" and "avx" not in flags.split()
    return f"; {phrase('mongo_no_avx')}" if lacks else ""
