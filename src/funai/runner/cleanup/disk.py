"""Order on the runner's disk: what a killed life left behind, and caches under their watermarks."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from pathlib import Path

from funai.base.aio import periodic
from funai.base.observability import log
from funai.base.process import proc
from funai.runner.build.cgroup import BuildGroup, group_names
from funai.runner.build.diskwatch import tree_bytes, working_containers
from funai.runner.build.image import Builder, group_name
from funai.runner.cleanup.caches import Limits
from funai.runner.cleanup.fs import remove_tree
from funai.runner.cleanup.image_eviction import CachedImage, is_cache, parse_described, parse_images, removable
from funai.runner.commands.engine import Engine
from funai.runner.metrics import RunnerMetrics
from funai.runner.sandbox import upkeep
from funai.runner.sandbox.workshop import Workshop
from funai.runner.settings import RunnerSettings
from funai.runner.source.mirrors import Source, remove_unfinished

BATCH = 50
"""Images named to one command."""
DAY = 24 * 3600
LIST_BYTES = 64 * 1024 * 1024


class Janitor:
    def __init__(
        self,
        settings: RunnerSettings,
        engine: Engine,
        source: Source,
        storage: Path,
        builder: Builder,
        metrics: RunnerMetrics,
        workshop: Workshop | None = None,
    ) -> None:
        self._workshop = workshop
        self._settings, self._engine, self._source, self._storage = settings, engine, source, storage
        self._builder, self._metrics = builder, metrics
        self._evicting = False
        self._packed = 0.0
        """When the mirrors were last looked at: only what was fetched since can need packing."""

    async def sweep_leftovers(self) -> None:
        """Before the first claim: processes, containers and folders of a life that ended by kill -9."""
        s = self._settings
        jobs = s.workdir / "jobs"
        left = [p.name for p in jobs.iterdir()] if jobs.is_dir() else []
        for name in left:
            group = BuildGroup(s.cgroup_parent, group_name(s.workdir, name))
            await asyncio.to_thread(group.kill)
            # Those of a life without the wall too: they are named by the group.
            containers = await asyncio.to_thread(working_containers, self._storage, f"/{group.parent}/{group.name}/")
            if containers:
                await proc.run(self._engine.remove_container(*containers), timeout=60)
            group.remove()
            await remove_tree(jobs / name)
        if self._workshop:
            await self._workshop.bases.sweep()
        if left:
            log.get("runner").info("leftovers.removed", jobs=left)
        for mirror in (s.workdir / "mirrors").glob("*.git"):
            await asyncio.to_thread(remove_unfinished, mirror)

    async def run(self, stop: asyncio.Event) -> None:
        await periodic("runner", self._settings.clean_seconds, self.tidy, stop)

    async def tidy(self) -> None:
        """Bring the caches under their watermarks, least recently used first."""
        await self._mirrors()
        await self.remove_left()
        if self._workshop:
            await self._stores(self._workshop)
        else:
            await self._images()

    async def remove_left(self) -> None:
        """Containers and control groups that an ended build could not remove, as on a full disk; no build begins meanwhile."""
        parent, every = self._settings.cgroup_parent, group_name(self._settings.workdir, "")
        if not parent:
            return
        async with self._builder.gate:
            if self._builder.active:
                return
            for name in await asyncio.to_thread(group_names, parent, every):
                group = BuildGroup(parent, name)
                await asyncio.to_thread(group.kill)
                await asyncio.to_thread(group.remove)
            if self._workshop:
                return
            left = await asyncio.to_thread(working_containers, self._storage, f"/{parent}/{every}")
            if left:
                done = await proc.run(self._engine.remove_container(*left), timeout=60)
                log.get("runner").info("leftovers.removed", containers=len(left), code=done.code)

    async def _stores(self, shop: Workshop) -> None:
        """Behind the wall: whole stores of apps, then base images that were pulled."""
        s, free = self._settings, _free(self._settings.workdir)

        def full() -> bool:
            self._evicting = _used_pct(s.workdir) > (s.disk_low_pct if self._evicting else s.disk_high_pct)
            return self._evicting

        folder = s.workdir / "tidy"
        try:
            gone = await upkeep.tidy(
                shop,
                folder,
                most_images=s.cache_images,
                most_bytes=s.build_disk_bytes,
                caches=Limits(s.app_cache_bytes, s.app_cache_days * DAY),
                full=full,
            )
        finally:
            await remove_tree(folder)
        if gone:
            freed = max(0, _free(s.workdir) - free)
            self._metrics.removed("images", gone, freed)
            log.get("runner").info("cache.evicted", kind="stores", stores=gone, bytes=freed)

    async def _images(self) -> None:
        """Build layers: over their number, or while the engine's disk is too full. What is in use the engine refuses."""
        free, images, tried = _free(self._storage), await self._images_now(), set[str]()
        while await self._remove_some(tried):
            pass
        if self._evicting:
            tried |= await self._old_bases()
        if not tried:
            return
        gone, freed = len({i.id for i in images} - {i.id for i in await self._images_now()}), _free(self._storage) - free
        self._metrics.removed("images", gone, freed)
        log.get("runner").info("cache.evicted", kind="images", images=gone, tried=len(tried), bytes=max(0, freed))

    async def _old_bases(self) -> set[str]:
        """Base images that this Runner pulled, when the cache is gone and the disk still full: anybody's FROM brings more."""
        gone: set[str] = set()
        for name in await asyncio.to_thread(self._builder.bases.pulled):
            if _used_pct(self._storage) <= self._settings.disk_low_pct:
                break
            if await self._builder.bases.evict(name):
                gone.add(name)
        return gone

    async def _images_now(self) -> list[CachedImage]:
        """What the engine holds; none when it doesn't answer."""
        done = await proc.run(self._engine.images(), timeout=60, max_output=LIST_BYTES)
        if done.code != 0 or not self._engine.docker:
            return parse_images(done.text) if done.code == 0 else []
        ids, out = list(dict.fromkeys(done.text.split())), list[CachedImage]()
        for batch in (ids[n : n + BATCH] for n in range(0, len(ids), BATCH)):
            # One that went meanwhile makes the status an error; what is printed is good.
            out += parse_described((await proc.run(self._engine.describe(*batch), timeout=60, max_output=LIST_BYTES)).text)
        return out

    async def _remove_some(self, tried: set[str]) -> bool:
        """One batch. A build that begins meanwhile waits for its end: it might stand on a layer that goes."""
        async with self._builder.gate:
            if victims := await self._next_victims(tried):
                tried.update(i.id for i in victims)
                # Docker refuses the id of an image with several names, Podman takes all names with it.
                words = [w for i in victims for w in (i.names if self._engine.docker and i.names else (i.id,))]
                await proc.run(self._engine.remove_images(*words), timeout=300)
        return bool(victims)

    async def _next_victims(self, tried: set[str]) -> list[CachedImage]:
        s, busy = self._settings, self._builder.active > 0
        images = await self._images_now()
        over = sum(map(is_cache, images)) - s.cache_images
        full = _used_pct(self._storage) > (s.disk_low_pct if self._evicting else s.disk_high_pct)
        self._evicting = full
        # A running build may be about to stand on any cached layer, so only a full disk goes on beside one.
        if not full and (over <= 0 or busy):
            return []
        older_than = int(time.time() - s.build_seconds) if busy else int(time.time()) + 1
        victims = [i for i in removable(images, older_than=older_than) if i.id not in tried]
        # Each takes the layers along that stood under it alone, so fewer than the surplus are named.
        return victims[: BATCH if full else min(BATCH, max(1, over // 8))]

    async def _mirrors(self) -> None:
        gone = 0
        fetched = {m: _mtime(m) for m in (self._settings.workdir / "mirrors").glob("*.git")}
        mirrors, looked = sorted(fetched, key=lambda m: fetched[m]), time.time()
        for mirror in mirrors:
            if fetched[mirror] >= self._packed:
                await self._source.pack(mirror)
        self._packed = looked
        sizes = {m: await asyncio.to_thread(tree_bytes, m, 1 << 62) for m in mirrors}
        total, freed = sum(sizes.values()), 0
        for mirror in mirrors:
            if total - freed <= self._settings.cache_bytes and not self._over(self._settings.disk_high_pct):
                break
            if self._source.in_use(mirror):
                continue
            async with self._source.lock_of(mirror):
                await asyncio.to_thread(shutil.rmtree, mirror, ignore_errors=True)
            freed, gone = freed + sizes[mirror], gone + 1
        if gone:
            self._metrics.removed("mirrors", gone, freed)
            log.get("runner").info("cache.evicted", kind="mirrors", mirrors=gone, bytes=freed)

    def _over(self, pct: float) -> bool:
        return _used_pct(self._settings.workdir) > pct


def _mtime(mirror: Path) -> float:
    """0 for one that a job just dropped."""
    try:
        return mirror.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _used_pct(folder: Path) -> float:
    """How full the folder's filesystem is."""
    st = os.statvfs(folder)
    return 100 * (1 - st.f_bavail / st.f_blocks)


def _free(folder: Path) -> int:
    st = os.statvfs(folder)
    return st.f_bavail * st.f_frsize
