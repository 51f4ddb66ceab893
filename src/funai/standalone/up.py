"""``funai up``: the whole platform on one machine, composed here and nowhere else.

Start: lock the data dir → secrets → engine → registry → the five services at once → ready. Stop, the other way round:
the runner finishes or hands back what it holds while Deploy still answers, then the doors close, then HAProxy (the
agent's), the registry and the engine's API. App containers stay. After kill -9, HAProxy, registry and engine API go on
and are adopted by the next ``up``.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from funai.base.aio import settle_memory, wait_any
from funai.base.files import write_whole
from funai.base.observability import log
from funai.base.process.daemon import Daemon, Program, keep_up
from funai.base.process.lifecycle import listening
from funai.contracts.errors import ConfigError, NotReady
from funai.standalone import services as rooms
from funai.standalone.layout import FIRST_ADMIN, DataDirLock, Layout, Secrets, ensure_key, load_secrets
from funai.standalone.notices import Notices
from funai.standalone.options import CONTAINER, EMBEDDED, UpOptions, check_ports
from funai.standalone.parts import base_image, packages, postgres, registry
from funai.standalone.parts import engine as engines
from funai.standalone.parts.steps import Steps
from funai.standalone.phrases import phrase

READY_SECONDS = 60
SYSTEM_REGISTRIES = Path("/etc/containers/registries.conf")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Platform:
    """A platform that answers."""

    options: UpOptions
    layout: Layout
    secrets: Secrets
    engine: engines.EngineChoice
    first_start: bool
    adopted: tuple[str, ...]
    """Daemons of a former life that were still running."""

    @property
    def admin_user(self) -> str:
        return FIRST_ADMIN


async def run(options: UpOptions, stop: asyncio.Event, on_ready: Callable[[Platform], None], say: Say) -> None:
    """Be the platform until ``stop``. Raises ConfigError when it can't start; a part that crashes stops all."""
    notices = Notices(say, Layout(options.data_dir).log / "funai.log")
    with listening(notices.hear):
        async with platform(options, say) as (running, failed):
            on_ready(running)
            await wait_any(stop, failed)
            say(phrase("stopping"))
    failed.check()


class Failure(asyncio.Event):
    """Set when a service ended unasked; keeps what it ended with."""

    def __init__(self) -> None:
        super().__init__()
        self.what: list[str] = []
        self._kind: type[ConfigError] = ConfigError

    def note(self, service: str, error: BaseException | None) -> None:
        if type(error) is not ConfigError:
            self._kind = NotReady  # it crashed, or waits for another: the next start may do better
        lines = error.problems if isinstance(error, ConfigError) else [repr(error)] if error else ["it just ended"]
        self.what += [f"{service}: {line}" for line in lines]
        self.set()

    def check(self) -> None:
        """Raises ConfigError when a service failed."""
        if self.is_set():
            raise self._kind(self.what)


@asynccontextmanager
async def platform(options: UpOptions, say: Say) -> AsyncIterator[tuple[Platform, Failure]]:
    """The platform as a context: ready inside, everything stopped in order after. Also yields "a part failed"."""
    options = options.with_absolute_dir()
    layout = Layout(options.data_dir)
    layout.make()
    async with AsyncExitStack() as teardown:
        teardown.enter_context(DataDirLock(layout))
        check_ports(options, _former_pids(layout))
        secrets, first_start = load_secrets(layout.secrets_file)
        await asyncio.to_thread(_programs, layout)
        say(phrase("finding_engine"))
        engine = await _engine(say)
        await _base_image(engine, options, layout, say)
        failed = Failure()
        socket, daemons = await _start_daemons(options, layout, secrets, engine, teardown)
        named = rooms.named_servers(options)
        servers = rooms.AppServers(
            await _postgres(options, layout, secrets, engine, teardown, say) or named.postgres,
            await _mongo(options, layout, secrets, engine, teardown, say) or named.mongo,
        )
        runner_key = ensure_key(layout.runner_key, "funai runner")
        plan = rooms.plan(options, layout, secrets, engine, socket, runner_key, servers)
        say(phrase("starting_services"))
        async with _services(plan, options.grace_seconds, failed):
            await _ready(options, failed)
            settle_memory()
            adopted = tuple(d.program.name for d in daemons if d.adopted)
            _write_addresses(options, layout)
            yield Platform(options, layout, secrets, engine, first_start, adopted), failed


def _programs(layout: Layout) -> None:
    """Have HAProxy, git and the others, from Debian's packages where they are missing. Raises ConfigError."""
    wanted = packages.needs(tests=False, virtualenv=False)
    try:
        packages.ensure(wanted, Steps(layout.log / "setup.log").run, interactive=sys.stdin.isatty())
    except packages.NotInstalled as e:
        raise ConfigError(str(e).splitlines()) from e


async def _base_image(engine: engines.EngineChoice, options: UpOptions, layout: Layout, say: Say) -> None:
    """Have the image that apps are built from; looked for at this data dir's first start with this engine only."""
    mark = layout.run / "base-image"
    if mark.exists() and mark.read_text() == engine.fingerprint:
        return
    try:
        await base_image.ensure(engine, say, mirror=options.given.environ.get("FUNAI_DEBIAN_MIRROR"))
    except base_image.NoBaseImage as e:
        raise NotReady([phrase("no_base", why=e)]) from e
    mark.write_text(engine.fingerprint)


async def _engine(say: Say) -> engines.EngineChoice:
    try:
        return await engines.choose(say=say)
    except engines.NoEngine as e:
        told = "no container engine could run a container here; `funai doctor --local` checks what it needs"
        raise NotReady([told, *str(e).splitlines()]) from e


async def _start_daemons(
    options: UpOptions, layout: Layout, secrets: Secrets, engine: engines.EngineChoice, teardown: AsyncExitStack
) -> tuple[Path, list[Daemon]]:
    """The registry and, for Podman, its API; watched until teardown. Returns the engine's socket."""
    write_whole(
        layout.registries_conf, registry.registries_conf(SYSTEM_REGISTRIES, options.ports.registry, options.image_mirror)
    )
    os.environ.update(engine.environment)
    os.environ["CONTAINERS_REGISTRIES_CONF"] = str(layout.registries_conf)
    daemons = [registry.daemon(layout, secrets, options.ports.registry)]
    socket = engine.socket
    if socket is None:
        socket = layout.engine_socket
        command = engine.service(socket)
        assert command is not None
        env = {**(command.env or {}), "CONTAINERS_REGISTRIES_CONF": str(layout.registries_conf)}
        conf = layout.registries_conf.read_text()
        daemons.append(Daemon(Program("engine", command.argv, env, conf), layout.run, layout.log, _engine_ready(socket)))
    if not await registry.answers(options.ports.registry, secrets):
        await registry.collect_garbage(layout)
    await keep_up(daemons, teardown)
    return socket, daemons


async def _postgres(
    options: UpOptions, layout: Layout, secrets: Secrets, engine: engines.EngineChoice, teardown: AsyncExitStack, say: Say
) -> str | None:
    """The URL of this machine's own server for apps. Where it can't be had the platform starts without, and says why."""
    if options.postgres != EMBEDDED or postgres.programs() is None or engine.rootless:
        return None
    try:
        pool = options.given.environ.get("RUNTIME_APP_SUBNETS")
        return await postgres.start(layout, secrets, rooms.instance(options), pool, teardown)
    except postgres.NoPostgres as e:
        say(phrase("no_postgres", why=e))
        return None


async def _mongo(
    options: UpOptions, layout: Layout, secrets: Secrets, engine: engines.EngineChoice, teardown: AsyncExitStack, say: Say
) -> str | None:
    """The URL of this machine's own MongoDB for apps. Raises ConfigError: who asked for it is not left without."""
    if options.mongo != CONTAINER:
        return None
    # Loaded where it is used: the driver costs every other platform memory and start-up time.
    from funai.standalone.parts import mongo  # noqa: PLC0415
    from funai.standalone.upkeep import mongodumps  # noqa: PLC0415

    wanted = mongo.Wanted(options.mongo_image, options.mongo_memory, rooms.instance(options))
    try:
        url = await mongo.start(engine, layout, secrets, wanted, teardown, say)
        if count := await mongodumps.bring_back(layout, url):
            say(phrase("mongo_back", count=count))
    except (mongo.NoMongo, mongodumps.DumpsFailed) as e:
        raise NotReady([phrase("no_mongo", why=e)]) from e
    return url


def _engine_ready(socket: Path) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(socket)), trust_env=False, timeout=3) as http:
            try:
                return (await http.get("http://engine/_ping")).status_code == 200
            except httpx.HTTPError:
                return False

    return ready


@asynccontextmanager
async def _services(plan: rooms.Plan, grace: float, failed: Failure) -> AsyncIterator[None]:
    """Every room's ``serve`` as a task with a stop of its own; stopped in the plan's order."""
    running: list[tuple[rooms.Room, asyncio.Event, asyncio.Task[None]]] = []
    for room in plan:
        stop = asyncio.Event()
        task = asyncio.create_task(_serve(room, stop, failed), name=room.name)
        running.append((room, stop, task))
    try:
        yield
    finally:
        for room, stop, task in running:
            stop.set()
            done, _ = await asyncio.wait([task], timeout=grace if room.finishes_work else 15)
            if not done:
                log.get("up").warning("up.service_slow_to_stop", service=room.name)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _serve(room: rooms.Room, stop: asyncio.Event, failed: Failure) -> None:
    with log.bound(service=room.name):
        error: BaseException | None = None
        try:
            await room.serve(stop)
        except Exception as e:
            error = e
            raise
        finally:
            if not stop.is_set():
                log.get("up").error("up.service_ended", room=room.name, error=repr(error))
                failed.note(room.name, error)


async def _ready(options: UpOptions, failed: Failure) -> None:
    """Until every HTTP service says it is healthy; at most READY_SECONDS. Raises ConfigError."""
    pages = {
        "API": f"{options.api_url}/internal/health",
        "Deploy": f"{options.deploy_url}/internal/health",
        "runtime-agent": f"{options.agent_url}/internal/health",
    }
    try:
        async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient(trust_env=False, timeout=2) as http:
            while pages and not failed.is_set():
                for name, page in list(pages.items()):
                    if await _answers(http, page):
                        del pages[name]
                if pages:
                    await wait_any(failed, timeout=0.05)
    except TimeoutError as e:
        raise NotReady([f"{', '.join(pages)} did not come up in {READY_SECONDS} s; see the log"]) from e
    failed.check()


async def _answers(http: httpx.AsyncClient, page: str) -> bool:
    try:
        return (await http.get(page)).status_code == 200
    except httpx.HTTPError:
        return False


def _former_pids(layout: Layout) -> set[int]:
    """Pids that daemons of this data dir recorded, wherever their records are."""
    found: set[int] = set()
    for record in [*layout.run.glob("*.json"), *layout.gateway.rglob("*.json"), *layout.gateway.rglob("*.pid")]:
        try:
            value = json.loads(record.read_text())
        except (OSError, ValueError):
            continue
        pid = value.get("pid") if isinstance(value, dict) else value  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        if isinstance(pid, int):
            found.add(pid)
    return found


def _write_addresses(options: UpOptions, layout: Layout) -> None:
    """Where a running platform answers, for tools on the same machine."""
    text = {"api": options.api_url, "gateway": options.gateway_url, "gitPort": options.ports.git, "pid": os.getpid()}
    write_whole(layout.addresses_file, json.dumps(text) + "\n")
