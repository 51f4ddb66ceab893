"""The Runner's process: binds the real parts together and works until it is stopped."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry

from funai.base.clients.deploy import RunnerDeployClient
from funai.base.clients.registry.http import is_insecure
from funai.base.config import logins
from funai.base.observability import log
from funai.base.process import proc
from funai.contracts.errors import ConfigError, NotReady
from funai.runner.build.image import Builder
from funai.runner.build.phase import MakeNode, NodeImages
from funai.runner.claim.lease import LeaseKeeper, keeping
from funai.runner.claim.loop import ClaimLoop
from funai.runner.cleanup.disk import Janitor
from funai.runner.commands.engine import Engine
from funai.runner.job import RunnerContext
from funai.runner.metrics import RunnerMetrics, listening
from funai.runner.publish.push import Pusher
from funai.runner.publish.registry import Registry, RegistryLogin, auth_config
from funai.runner.publish.rollout import Rollout
from funai.runner.sandbox import host
from funai.runner.sandbox.bases import BaseStores
from funai.runner.sandbox.blobs import KnownBlobs
from funai.runner.sandbox.cell import opened
from funai.runner.sandbox.stores import Stores
from funai.runner.sandbox.workshop import Workshop
from funai.runner.settings import RunnerSettings
from funai.runner.source.mirrors import Source

SANDBOX_OFF = (
    "builds see every app's images and this host's network; only for a single trusted user / "
    "构建可见所有应用的镜像与本机网络，仅限单个可信用户"
)


async def serve(settings: RunnerSettings, stop: asyncio.Event, make_node: MakeNode | None = None) -> None:
    """Claim and work until ``stop``; then finish running jobs (see :mod:`claim_loop`). Raises ConfigError.

    ``make_node``: how a base image is had that can't be pulled.
    """
    metrics = RunnerMetrics(CollectorRegistry())
    with sole_owner(settings.workdir):
        async with listening(settings, metrics):
            await _work(settings, metrics, stop, make_node)


async def _work(settings: RunnerSettings, metrics: RunnerMetrics, stop: asyncio.Event, make_node: MakeNode | None) -> None:
    engine = prepare_engine(settings)
    storage = await engine_storage(engine)
    async with AsyncExitStack() as stack:
        named = frozenset(filter(None, (settings.registry, *settings.private_registries, *_base_registries(settings))))
        registry = Registry(_login(settings), frozenset(settings.insecure_registries), trusted=named)
        stack.push_async_callback(registry.close)
        search = await searched_registries(engine)
        workshop = await _workshop(settings, engine, storage, registry, search, stack)
        source = Source(settings)
        source.prepare()
        stack.push_async_callback(source.close)
        rollout, client = Rollout(settings), _connect(settings)
        stack.push_async_callback(rollout.close)
        stack.push_async_callback(client.close)
        builder = Builder(settings, engine, registry, storage, search, workshop)
        janitor = Janitor(settings, engine, source, storage, builder, metrics, workshop)
        await janitor.sweep_leftovers()
        leases = LeaseKeeper(
            lambda: _connect(settings),
            settings.runner_id,
            every=settings.heartbeat_seconds,
            crashed=metrics.crashes.labels("heartbeat").inc,
        )
        pusher = Pusher(settings, engine, registry, workshop)
        nodes = NodeImages(make_node)
        tools = RunnerContext(settings, source, builder, pusher, registry, rollout, leases, metrics, nodes)
        log.get("runner").info("runner.started", runner_id=settings.runner_id, slots=settings.slots, engine=engine.binary)
        async with keeping(leases):
            cleaning = asyncio.create_task(janitor.run(stop), name="janitor")
            try:
                await ClaimLoop(tools, client).run(stop)
            finally:
                cleaning.cancel()
                await asyncio.gather(cleaning, return_exceptions=True)
    log.get("runner").info("runner.stopped")


async def _workshop(
    settings: RunnerSettings, engine: Engine, storage: Path, registry: Registry, search: list[str], stack: AsyncExitStack
) -> Workshop | None:
    """The wall for builds; None where the operator switched it off. Raises ConfigError when it can't stand."""
    if settings.sandbox == "off":
        log.get("runner").warning("sandbox.off", meaning=SANDBOX_OFF)
        return None
    if not settings.cgroup_parent:
        raise ConfigError(["RUNNER_CGROUP: a sandbox needs a control group; name one, or set RUNNER_SANDBOX=off"])
    if reason := await host.why_not():
        told = "until then, RUNNER_SANDBOX=off builds without it, for a single trusted user"
        raise ConfigError([f"RUNNER_SANDBOX: {reason.zh} / {reason.en}; {told}"])
    have, _ = host.programs()
    assert have is not None
    sandbox = await stack.enter_async_context(opened(settings, have, registry.http))
    folder = settings.bases_dir or settings.workdir / "base-stores"
    bases, stores = BaseStores(settings, folder, search), Stores(settings.workdir / "stores")
    return Workshop(sandbox, stores, bases, engine, storage, registry, KnownBlobs(folder / "blobs"))


def _connect(settings: RunnerSettings) -> RunnerDeployClient:
    token = settings.runner_token.get_secret_value() if settings.runner_token else None
    return RunnerDeployClient(settings.deploy_base_url, token)


def _base_registries(settings: RunnerSettings) -> list[str]:
    return [prefix.partition("/")[0] for prefix in settings.base_images]


def _login(settings: RunnerSettings) -> RegistryLogin | None:
    """The one that is set, else what ``docker login`` or ``podman login`` left on this machine."""
    if not settings.registry:
        return None
    if settings.registry_username and settings.registry_password:
        return RegistryLogin(settings.registry, settings.registry_username, settings.registry_password.get_secret_value())
    if left := logins.find(settings.registry):
        log.get("runner").info("registry.login_of_the_machine", registry=settings.registry, user=left[0])
        return RegistryLogin(settings.registry, *left)
    return None


@contextmanager
def sole_owner(workdir: Path) -> Iterator[None]:
    """One runner a work dir: two would clean up each other's jobs. Raises ConfigError."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        fd = os.open(workdir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise ConfigError([f"RUNNER_WORKDIR: {workdir} can't be used ({e.strerror}); give a writable folder"]) from e
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as e:
        raise ConfigError([f"RUNNER_WORKDIR: another runner works in {workdir}; give each its own"]) from e
    finally:
        os.close(fd)


def prepare_engine(settings: RunnerSettings) -> Engine:
    """The engine's dialect, with the registry login in a file of its own (0600)."""
    auth_dir = settings.workdir / "auth"
    for folder, login in ((auth_dir, _login(settings)), (auth_dir / "none", None)):
        folder.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(folder / "config.json", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(auth_config(login))
    insecure = frozenset(settings.insecure_registries)
    if settings.registry and is_insecure(settings.registry, insecure):
        insecure |= {settings.registry}
    return Engine(settings.engine, auth_dir, insecure)


async def engine_storage(engine: Engine) -> Path:
    """Where the engine keeps images. Raises NotReady when it doesn't answer, ConfigError when it isn't there."""
    try:
        done = await proc.run(engine.storage(), timeout=60)
    except (proc.ProcessMissing, proc.ProcessTimeout) as e:
        raise ConfigError([f"RUNNER_DOCKER_BIN: {engine.binary} can't be used ({e}); name a working podman or docker"]) from e
    if done.code != 0:
        raise NotReady([f"RUNNER_DOCKER_BIN: {engine.binary} info failed: {done.error_text[-500:]}"])
    return Path(done.text)


async def searched_registries(engine: Engine) -> list[str]:
    """Where Podman looks for images whose names have no registry."""
    if engine.docker:
        return []
    done = await proc.run(engine.search(), timeout=60)
    try:
        found: object = json.loads(done.text or "{}")
    except ValueError:
        return []
    search: object = found.get("search") if isinstance(found, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return [str(s) for s in search] if isinstance(search, list) else []  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
