"""Builds and pushes behind the wall: what one app's job needs of cells, stores and base images, in its order."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from funai.base.process import proc
from funai.base.process.proc import Command, base_environment
from funai.contracts.errors import BadInput
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import ImageRef, parse_image
from funai.dockerfile.images import Allowed, needs_login
from funai.i18n.reasons import Words
from funai.runner.build.base_images import BaseImage
from funai.runner.commands.engine import BuildRequest, Engine
from funai.runner.failures import JobFailed, invalid
from funai.runner.publish.registry import Registry
from funai.runner.sandbox import etc
from funai.runner.sandbox.bases import BaseStores, Sources, read_held
from funai.runner.sandbox.blobs import KnownBlobs
from funai.runner.sandbox.cell import Room, Run, Sandbox
from funai.runner.sandbox.net.fence import Opening, reachable, split_place
from funai.runner.sandbox.net.registry_proxy import Grant
from funai.runner.sandbox.net.relay import openings_of
from funai.runner.sandbox.stores import MAX_BASES, Store, Stores
from funai.runner.sandbox.storewatch import StoreWatch
from funai.runner.sandbox.wall import FIRST_ID, Bind

Fit = Callable[[Mapping[str, BaseImage]], Awaitable[BuildRequest]]
"""The request, once it is known what it stands on; raises JobFailed."""
COPY_SECONDS = 600
BASE_REPOSITORY = "funai-base"
"""In each namespace: the base images that its apps' images stand on."""
_LIST_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Workshop:
    """``machine`` is the machine's engine, from whose ``storage`` base images are copied that the operator put there."""

    sandbox: Sandbox
    stores: Stores
    bases: BaseStores
    machine: Engine
    storage: Path
    registry: Registry
    blobs: KnownBlobs
    _sharing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _kept: dict[str, ExitStack] = field(default_factory=dict[str, ExitStack])

    @contextmanager
    def kept(self, repository: str) -> Iterator[None]:
        """Eviction leaves the app's store, and the base images that a build in it stands on, while the context is open."""
        with self.stores.kept(repository), ExitStack() as bases:
            self._kept[repository] = bases
            try:
                yield
            finally:
                if self._kept.get(repository) is bases:
                    del self._kept[repository]

    async def build(
        self, images: Sequence[str], may: Allowed, folder: Path, groups: tuple[Path, ...], run: Run, watch: StoreWatch, fit: Fit
    ) -> int:
        """The exit status of the engine. Raises JobFailed, BaseAbsent. ``folder`` is the job's, with ``src`` and ``tmp``."""
        await asyncio.to_thread(hand_over, folder / "src", folder / "tmp")
        async with (
            self.sandbox.room(folder, groups) as room,
            self.stores.held(may.own) as store,
            self.bases.ready(images, may, self._sources(room, may, run, watch)) as held,
        ):
            request = await fit({name: h.image for name, h in held.items()})
            if request.fresh:
                await self.stores.empty(store)
            roots = await self._founded(room, run, store, [h.folder for h in held.values()])
            if kept := self._kept.get(may.own):
                kept.enter_context(self.bases.standing([root.parent for root in roots]))
            watch.begin(store)
            store.write({**store.read(), "dirty": True})
            await asyncio.to_thread(hand_over, *([request.files] if request.files else []), files=_dockerfiles(folder))
            command = self.sandbox.engine.build(_seen(request))
            try:
                code = await room.build(run, command, store, roots, _context(request, folder), request.ca_file)
            except JobFailed as e:
                if e.code is FailureCode.PACKAGE_REGISTRY_UNREACHABLE:
                    # Its step ended well for the engine, which may have kept the layer that lacks the packages.
                    await self.stores.empty(store)
                raise
            store.write({**store.read(), "dirty": False})
            return code

    async def push(self, image: ImageRef, target: ImageRef, folder: Path, seconds: float) -> proc.Finished:
        """Push what :meth:`build` built; with the program's last words."""
        said: list[proc.Finished] = []

        async def run(command: Command) -> int:
            said.append(await proc.run(command, timeout=seconds))
            return said[-1].code

        async with self.sandbox.room(folder, ()) as room, self.stores.held(image.repository) as store:
            base = await self._shared(room, run, store, target)
            await room.push(run, str(image), target, store, self.under(store), base.path)
        return said[-1]

    async def _shared(self, room: Room, run: Run, store: Store, target: ImageRef) -> ImageRef:
        """Before the first push from a store: its base images are in the registry, and the engine knows their blobs.

        Compressing and sending a base image takes seconds; once is enough for all apps. What fails here costs time only.
        """
        base = ImageRef(target.registry, f"{target.path.rpartition('/')[0] or 'funai'}/{BASE_REPOSITORY}", None, None)
        if not store.read().get("shared"):
            async with self._sharing:
                for root in self.under(store):
                    await self._share(room, run, root, base)
                await asyncio.to_thread(self.blobs.hand_to, store)
            store.write({**store.read(), "shared": True})
        return base

    async def _share(self, room: Room, run: Run, root: Path, base: ImageRef) -> None:
        held = read_held(root.parent)
        if held is None or held.private:
            return
        there = ImageRef(base.registry, base.path, held.image.id[:24], None)
        with suppress(JobFailed, proc.ProcessTimeout):
            # A Runner that has lost its record fills it by pushing once more what the registry has.
            if not self.blobs.knows(there.tag or "") or await self.registry.digest(there) is None:
                await asyncio.to_thread(self.blobs.make)
                if await room.push_base(run, held.image.id, there, root, self.blobs.folder) == 0:
                    self.blobs.learned(there.tag or "")

    def under(self, store: Store) -> list[Path]:
        """The base images' stores that this one's layers stand on and that are still there."""
        names = store.read().get("bases")
        found = [self.bases.folder_of(str(n)) for n in names] if isinstance(names, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return [f / "root" for f in found if f]

    async def _founded(self, room: Room, run: Run, store: Store, needed: Sequence[Path]) -> list[Path]:
        """What the build stands on: the images it names first, then the ones that its store's layers need.

        A store whose layers have lost one, or that a killed build left in a state the engine can't clear, is begun anew.
        """
        record = store.read()
        names = [str(n) for n in found] if isinstance(found := record.get("bases"), list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        older = [f for n in names if (f := self.bases.folder_of(n)) and f not in needed]
        whole = len(older) == len([n for n in names if n not in {f.name for f in needed}])
        together = list(dict.fromkeys([*needed, *older]))
        roots = [f / "root" for f in together]
        if not whole or len(together) > MAX_BASES or (record.get("dirty") and not await room.clear(run, store, roots)):
            await self.stores.empty(store)
            together = list(dict.fromkeys(needed))
            roots = [f / "root" for f in together]
        store.write({**store.read(), "bases": [f.name for f in together], "dirty": False})
        return roots

    def _sources(self, room: Room, may: Allowed, run: Run, watch: StoreWatch) -> Sources:
        async def watched(root: Path, work: Awaitable[int]) -> bool:
            watch.pull = root
            try:
                return await work == 0
            finally:
                watch.pull = None

        async def pull(full: str, root: Path) -> bool:
            await self._refuse_private(full, may)
            return await watched(root, room.pull(run, full, root, _granted(full, may)))

        async def copy(full: str, root: Path) -> bool:
            archive = root.parent / "image.tar"
            try:
                done = await proc.run(self.machine.save(full, archive), timeout=COPY_SECONDS)
                os.chmod(archive, 0o644)
                return done.code == 0 and await watched(root, room.load(run, archive, root))
            except (FileNotFoundError, proc.ProcessTimeout):
                return False
            finally:
                archive.unlink(missing_ok=True)

        return Sources(pull, copy, self._machines)

    async def _machines(self) -> dict[str, str]:
        """Full names and ids of what the machine's engine has."""
        if self.machine.docker:
            return await self._dockers()
        return await asyncio.to_thread(_podmans, self.storage)

    async def _dockers(self) -> dict[str, str]:
        try:
            done = await proc.run(self.machine.tagged(), timeout=_LIST_SECONDS)
        except (proc.ProcessMissing, proc.ProcessTimeout):
            return {}
        found: dict[str, str] = {}
        for name, _, image_id in (line.partition(" ") for line in done.text.splitlines()):
            with suppress(BadInput):
                ref = parse_image(name)
                registry = ref.registry or "docker.io"
                path = ref.path if ref.registry or "/" in ref.path else f"library/{ref.path}"
                found[f"{registry}/{path}:{ref.tag}"] = image_id.removeprefix("sha256:")
        return found

    async def _refuse_private(self, full: str, may: Allowed) -> None:
        """Raises JobFailed CONTRACT_INVALID for a registry on this host or in a private network that wasn't opened."""
        registry = full.partition("/")[0]
        conf = etc.machine_registries(base_environment())
        if registry in may.registries or registry in may.private or etc.entries_of(conf, registry):
            return
        host, port = split_place(registry)
        openings = await openings_of(map(split_place, etc.operators_places(conf, registry)))
        if closed := await _closed(host, port or 443, (*self.sandbox.openings, *openings)):
            zh = f"镜像仓库 {registry} 的地址 {closed} 是本机或内网地址，不能使用"
            en = f"the registry {registry} ({closed}) is on this host or in a private network and may not be used"
            raise invalid(BadInput(detail=Words(zh, en)))


async def _closed(host: str, port: int, openings: Sequence[Opening]) -> str:
    """The first address of the host that a build may not reach; "" when all may be, or it can't be resolved."""
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return ""
    found = [str(i[4][0]) for i in infos if i[0] == socket.AF_INET] or [str(i[4][0]) for i in infos]
    return next((a for a in found if not reachable(a.partition("%")[0], port, openings)), "")


def _granted(full: str, may: Allowed) -> tuple[Grant | None, list[str]]:
    """How the image is pulled: by the proxy where it is of the platform's registry, with the login if that is for it; else
    from where the operator allows it beside the public ones."""
    ref = parse_image(full)
    if ref.registry not in may.registries:
        return None, [ref.registry] if ref.registry in may.private else []
    own = ImageRef(ref.registry, ref.path if needs_login(ref, may) else "-", None, None)
    return Grant(own, write=False, others=True), []


def _podmans(storage: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):
        for listing in storage.glob("*-images/images.json"):
            images: list[dict[str, Any]] = json.loads(listing.read_bytes())
            found |= {str(name): str(i["id"]) for i in images for name in i.get("names") or ()}
    return found


def hand_over(*folders: Path, files: Sequence[Path] = ()) -> None:
    """Everything in the folders, links themselves and not what they lead to, becomes the build's own, and so do the files."""
    for file in files:
        os.chown(file, FIRST_ID, FIRST_ID)
    for folder in folders:
        os.chown(folder, FIRST_ID, FIRST_ID)
        for _, below, plain, fd in os.fwalk(folder, follow_symlinks=False):
            for name in (*below, *plain):
                os.chown(name, FIRST_ID, FIRST_ID, dir_fd=fd, follow_symlinks=False)


def _seen(request: BuildRequest) -> BuildRequest:
    """The request as it reads inside."""
    ca = Path(etc.CA_FILE) if request.ca_file else None
    return replace(request, walled=True, iidfile=Path("/var/tmp/iid"), tmp=Path("/var/tmp"), ca_file=ca, cgroup="")


def _context(request: BuildRequest, folder: Path) -> list[Bind]:
    source = folder / "src"
    binds = [Bind(source, str(source), writable=True)]
    if request.files:
        binds.append(Bind(request.files, str(request.files)))
    return binds + [Bind(file, str(file)) for file in _dockerfiles(folder)]


def _dockerfiles(folder: Path) -> list[Path]:
    """As they were written for the engine."""
    return [file for file in folder.glob("Dockerfile*") if file.is_file()]
