"""Order on the runner's disk: what a killed life left behind, and caches under their watermarks."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from funai.base import log, proc
from funai.base.supervise import periodic
from funai.runner.build import group_name
from funai.runner.cgroup import BuildGroup
from funai.runner.commands.engine import Engine
from funai.runner.diskwatch import tree_bytes, working_containers
from funai.runner.settings import RunnerSettings
from funai.runner.source import Source


class Janitor:
    def __init__(self, settings: RunnerSettings, engine: Engine, source: Source, storage: Path) -> None:
        self._settings, self._engine, self._source, self._storage = settings, engine, source, storage

    async def sweep_leftovers(self) -> None:
        """Before the first claim: processes, containers and folders of a life that ended by kill -9."""
        s = self._settings
        jobs = s.workdir / "jobs"
        left = [p.name for p in jobs.iterdir()] if jobs.is_dir() else []
        for name in left:
            group = BuildGroup(s.cgroup_parent, group_name(s.workdir, name))
            await asyncio.to_thread(group.kill)
            containers = await asyncio.to_thread(working_containers, self._storage, f"/{group.parent}/{group.name}/")
            if containers:
                await proc.run(self._engine.remove_container(*containers), timeout=60)
            group.remove()
            await asyncio.to_thread(shutil.rmtree, jobs / name, ignore_errors=True)
        if left:
            log.get("runner").info("leftovers.removed", jobs=left)
        for lock in (s.workdir / "mirrors").glob("*.git/**/*.lock"):
            lock.unlink(missing_ok=True)

    async def run(self, stop: asyncio.Event) -> None:
        await periodic("runner", self._settings.clean_seconds, self.tidy, stop)

    async def tidy(self) -> None:
        """Bring the caches under their watermarks, least recently used first."""
        await self._mirrors()

    async def _mirrors(self) -> None:
        mirrors = sorted((self._settings.workdir / "mirrors").glob("*.git"), key=lambda p: p.stat().st_mtime)
        sizes = {m: await asyncio.to_thread(tree_bytes, m, 1 << 62) for m in mirrors}
        total, freed = sum(sizes.values()), 0
        for mirror in mirrors:
            if total - freed <= self._settings.cache_bytes and not self._over(self._settings.disk_high_pct):
                break
            async with self._source.lock_of(mirror):
                await asyncio.to_thread(shutil.rmtree, mirror, ignore_errors=True)
            freed += sizes[mirror]
        if freed:
            log.get("runner").info("cache.evicted", kind="mirrors", bytes=freed)

    def _over(self, pct: float) -> bool:
        """True while the work dir's filesystem is fuller than ``pct`` percent."""
        st = os.statvfs(self._settings.workdir)
        return 100 * (1 - st.f_bavail / st.f_blocks) > pct
