"""The sandboxes of a Runner: as many cells as it has slots, each with its networks; a build, pull or push enters one."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from funai.base.aio import serving
from funai.base.clients.registry.http import RegistryHttp
from funai.base.process.proc import Command, base_environment
from funai.contracts.errors import ConfigError
from funai.contracts.rules import ImageRef
from funai.runner.commands.engine import Engine
from funai.runner.sandbox import etc, host
from funai.runner.sandbox.net.fence import Opening, split_place
from funai.runner.sandbox.net.namespace import Network, NoNetwork, make
from funai.runner.sandbox.net.registry_proxy import Grant, RegistryProxy
from funai.runner.sandbox.net.relay import Policy, Relay, openings_of
from funai.runner.sandbox.stores import Store
from funai.runner.sandbox.wall import DOOR, DOOR_PORT, Bind, Entry, Host, walled
from funai.runner.settings import RunnerSettings

Run = Callable[[Command], Awaitable[int]]
"""Runs a command under a build's limits; answers its exit status."""
CACHES = ("/var/tmp/buildah-cache", "/var/tmp/buildah-cache-0")
"""Where an engine keeps cache mounts: Podman 4.3, and newer ones, which add the user's id."""
BLOBS = "/var/lib/containers/cache"
ARCHIVE = "/run/image.tar"


@dataclass(slots=True)
class Way:
    """One network with what serves it."""

    network: Network
    policy: Policy
    proxy: RegistryProxy

    @asynccontextmanager
    async def opened(self, openings: Sequence[Opening] = (), grant: Grant | None = None) -> AsyncIterator[str]:
        """Something may go out, and by the proxy as far as ``grant`` says. Yields the network's path."""
        self.policy.openings, self.proxy.grant = tuple(openings), grant
        self.policy.open = True
        try:
            yield self.network.path
        finally:
            self.policy.open, self.policy.openings, self.proxy.grant = False, (), None


@dataclass(frozen=True, slots=True)
class Cell:
    """A slot's two networks: tenants' steps have ``build``, programs of ours that fetch and push have ``ours``."""

    build: Way
    ours: Way


@dataclass(frozen=True, slots=True)
class Room:
    """One job's place in a cell. ``folder`` is the job's and the host's own; ``groups`` are its control groups."""

    sandbox: Sandbox
    cell: Cell
    folder: Path
    groups: tuple[Path, ...]

    def entry(self, network: str, etc_folder: Path, *binds: Bind) -> Entry:
        tmp = Bind(self.folder / "tmp", "/var/tmp", writable=True)
        return Entry(self.groups, network, (Bind(etc_folder, "/etc"), tmp, *binds), etc.ENV, self.sandbox.programs.bwrap)

    def _etc(self, name: str, engine: etc.Engine) -> Path:
        return etc.write(Path(tempfile.mkdtemp(prefix=f"etc-{name}-", dir=self.folder)), engine)

    async def build(
        self, run: Run, command: Command, store: Store, bases: Sequence[Path], context: Sequence[Bind], ca_file: Path | None
    ) -> int:
        """``command`` builds in the app's own store above these base images' stores. Answers its exit status."""
        folder = await asyncio.to_thread(
            self._etc, "build", etc.Engine(self.sandbox.programs.runtime, len(bases), ca_file=ca_file)
        )
        under = [Bind(root, f"{etc.BASES}/{n}") for n, root in enumerate(bases)]
        own = [Bind(store.images, etc.STORE, True), Bind(store.blobs, BLOBS, True)]
        own += [Bind(store.caches, place, True) for place in CACHES]
        async with self.cell.build.opened(self.sandbox.openings) as network:
            entry = self.entry(network, folder, *own, *under, *context)
            return await run(walled(command, entry, self.sandbox.host))

    async def clear(self, run: Run, store: Store, bases: Sequence[Path]) -> bool:
        """Remove the containers that a killed build left in the store; False when the store can't be used any more."""
        return await self._plainly(run, self.sandbox.engine.remove_containers(), store, bases, "clear", None) == 0

    async def prune(self, run: Run, store: Store, bases: Sequence[Path]) -> bool:
        """Remove the images that later builds took the name from."""
        return await self._plainly(run, self.sandbox.engine.prune(), store, bases, "prune", None) == 0

    async def push(self, run: Run, image: str, target: ImageRef, store: Store, bases: Sequence[Path], base: str) -> int:
        """Push an image of the store by the proxy, which adds the login. No process of a step is left by then."""
        grant = Grant(target, write=True, base=base)
        return await self._plainly(run, self._pushing(image, target), store, bases, "push", grant)

    async def push_base(self, run: Run, image_id: str, target: ImageRef, root: Path, blobs: Path) -> int:
        """Push a base image: its blobs need then no upload with every app that stands on it."""
        folder = await asyncio.to_thread(self._etc, "base", etc.Engine(self.sandbox.programs.runtime, 1))
        binds = (Bind(root, f"{etc.BASES}/0"), Bind(blobs, BLOBS, True))
        async with self.cell.ours.opened((), Grant(target, write=True)) as network:
            return await run(walled(self._pushing(image_id, target), self.entry(network, folder, *binds), self.sandbox.host))

    def _pushing(self, image: str, target: ImageRef) -> Command:
        return self.sandbox.engine.push_plain(image, f"{DOOR}:{DOOR_PORT}/{target.path}:{target.tag}")

    async def _plainly(
        self, run: Run, command: Command, store: Store, bases: Sequence[Path], name: str, grant: Grant | None
    ) -> int:
        folder = await asyncio.to_thread(self._etc, name, etc.Engine(self.sandbox.programs.runtime, len(bases)))
        under = [Bind(root, f"{etc.BASES}/{n}") for n, root in enumerate(bases)]
        own = [Bind(store.images, etc.STORE, True), Bind(store.blobs, BLOBS, True)]
        async with self.cell.build.opened((), grant) as network:
            return await run(walled(command, self.entry(network, folder, *own, *under), self.sandbox.host))

    async def pull(self, run: Run, full: str, root: Path, granted: tuple[Grant | None, list[str]]) -> int:
        """Fetch a base image into ``root``: by the proxy as far as it is granted, else from the public internet, the
        operator's mirrors, and the places given beside the grant."""
        registry, (grant, more) = full.partition("/")[0], granted
        proxied = grant is not None
        conf = etc.machine_registries(base_environment())
        text = etc.registries_text(conf, registry, proxied=proxied)
        engine = etc.Engine(self.sandbox.programs.runtime, registries=text)
        folder = await asyncio.to_thread(self._etc, f"pull-{root.parent.name}", engine)
        places = map(split_place, [*more, *etc.operators_places(conf, registry)])
        openings = [*self.sandbox.openings, *await openings_of(places)]
        command = replace(self.sandbox.engine.pull(full, login=False), env={})
        async with self.cell.ours.opened(openings, grant) as network:
            entry = self.entry(network, folder, Bind(root, etc.STORE, True))
            return await run(walled(command, entry, self.sandbox.host))

    async def load(self, run: Run, archive: Path, root: Path) -> int:
        """Take an archive of the machine's engine into ``root``."""
        engine = etc.Engine(self.sandbox.programs.runtime)
        folder = await asyncio.to_thread(self._etc, f"load-{root.parent.name}", engine)
        async with self.cell.ours.opened() as network:
            entry = self.entry(network, folder, Bind(root, etc.STORE, True), Bind(archive, ARCHIVE))
            return await run(walled(self.sandbox.engine.load(ARCHIVE), entry, self.sandbox.host))


class Sandbox:
    """See the module. Open it with :func:`opened`."""

    def __init__(self, settings: RunnerSettings, programs: host.Programs, openings: Sequence[Opening]) -> None:
        self.programs, self.openings, self.host = programs, tuple(openings), Host.here()
        insecure = frozenset(settings.insecure_registries)
        self.engine = Engine(programs.podman, Path("/etc/containers"), insecure)
        self._cells: asyncio.Queue[Cell] = asyncio.Queue()

    def add(self, cell: Cell) -> None:
        self._cells.put_nowait(cell)

    @asynccontextmanager
    async def room(self, folder: Path, groups: tuple[Path, ...]) -> AsyncIterator[Room]:
        """A cell for one job, until the context ends."""
        cell = await self._cells.get()
        try:
            yield Room(self, cell, folder, groups)
        finally:
            self._cells.put_nowait(cell)


@asynccontextmanager
async def opened(settings: RunnerSettings, programs: host.Programs, upstream: RegistryHttp) -> AsyncIterator[Sandbox]:
    """All cells of a Runner. Raises ConfigError when a network can't be made."""
    host.make_stage()
    mirrors = [*_place_of(settings.npm_registry), *_place_of(settings.debian_mirror)]
    openings = await openings_of([*map(split_place, settings.allowed_places), *mirrors])
    sandbox, relay = Sandbox(settings, programs, openings), Relay()
    relay.start()
    async with AsyncExitStack() as stack:
        networks: list[Network] = []
        stack.callback(lambda: [n.close() for n in networks])
        stack.callback(relay.close)

        async def way(*, ours: bool) -> Way:
            try:
                network = await make(openings, ours=ours)
            except NoNetwork as e:
                raise ConfigError([f"RUNNER_SANDBOX: a build's network can't be made: {e}"]) from e
            networks.append(network)
            proxy = RegistryProxy(upstream)
            await stack.enter_async_context(serving(proxy.app(), network.proxy, grace=0))
            return Way(network, await asyncio.to_thread(relay.serve, network), proxy)

        # One more than there are jobs: the janitor's.
        for _ in range(settings.slots + 1):
            sandbox.add(Cell(await way(ours=False), await way(ours=True)))
        yield sandbox


def _place_of(url: str) -> list[tuple[str, int | None]]:
    """The operator's own mirrors may be private ones."""
    parts = urlsplit(url)
    return [(parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))] if parts.hostname else []
