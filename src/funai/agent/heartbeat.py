"""Deploy hears how this node is; this node hears which apps it has lost."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from funai import __version__
from funai.agent.apps import Apps
from funai.agent.network.look import Look
from funai.agent.network.walls import WallsKeeper
from funai.agent.node import Node
from funai.agent.reconcile.crashes import Crashes
from funai.agent.reconcile.journal import Journal
from funai.agent.reconcile.restore import Restorer
from funai.base.aio import guarded, wait_any
from funai.base.clients.deploy import NodeDeployClient
from funai.base.observability import log
from funai.contracts.agent import AgentApp
from funai.contracts.errors import Conflict
from funai.contracts.nodes import NodeHeartbeat, Removal

STALE_BEATS = 3
"""So many heartbeats in a row must call a placement stale before its containers go."""
MAX_CRASHING = 1000


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Jiffies since boot, from the first line of ``/proc/stat``."""

    busy: int
    total: int

    @classmethod
    def parse(cls, stat: str) -> CpuTimes:
        numbers = [int(n) for n in stat.splitlines()[0].split()[1:9]]
        idle = numbers[3] + numbers[4]
        return cls(sum(numbers) - idle, sum(numbers))

    def since(self, before: CpuTimes) -> float:
        """Per cent busy between two readings."""
        total = self.total - before.total
        return round(100 * (self.busy - before.busy) / total, 1) if total > 0 else 0.0


def memory_in(meminfo: str, name: str = "MemAvailable") -> int | None:
    """Bytes from the line of this name."""
    for line in meminfo.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return None


class Heartbeat:
    def __init__(
        self,
        node: Node,
        apps: Apps,
        crashes: Crashes,
        journal: Journal,
        restorer: Restorer,
        look: Look,
        walls: WallsKeeper,
        deploy: NodeDeployClient,
    ) -> None:
        self._walls = walls
        self._journal, self._restorer, self._look = journal, restorer, look
        self._node, self._apps, self._crashes, self._deploy = node, apps, crashes, deploy
        self._cpu: CpuTimes | None = None
        self._stale: dict[int, int] = {}

    async def beat(self) -> None:
        """One heartbeat. Raises what the client raises; the caller's loop tries again."""
        answer = await self._deploy.heartbeat(await self.reading())
        if answer is not None:
            if answer.walls is not None:
                await self._walls.heed(answer.walls)
            await self._heed(answer.stale_placements, answer.removals or [])

    async def follow(self, stop: asyncio.Event) -> None:
        """Tell Deploy at once what changed here. Its answer is left to the next heartbeat: how often it calls a placement stale
        is a measure of time."""
        changed = self._node.changed
        while not stop.is_set():
            await wait_any(stop, changed)
            if changed.is_set():
                changed.clear()
                await guarded("heartbeat", self._tell)

    async def _tell(self) -> None:
        await self._deploy.heartbeat(await self.reading())

    async def reading(self) -> NodeHeartbeat:
        """This node as it is now."""
        settings, info = self._node.settings, self._node.info
        apps = await self._node.workloads.everything()
        running = sum(1 for app in apps.values() for c in app.all if c.up)
        free, total = await asyncio.to_thread(_disk, info.data_root)
        return NodeHeartbeat(
            node_name=settings.node_name,
            agent_base_url=settings.node_agent_base_url or None,
            gateway_base_url=settings.node_gateway_base_url or None,
            apps_url=self._node.apps_url,
            upstream_url=self._node.upstream_url or None,
            disk_free_pct=round(100 * free / total, 2) if total else None,
            disk_free_bytes=free,
            container_count=running,
            cpu_pct=await asyncio.to_thread(self._cpu_pct),
            memory_free_bytes=await asyncio.to_thread(_memory, "MemAvailable"),
            memory_bytes=await asyncio.to_thread(_memory, "MemTotal"),
            app_memory_bytes=settings.limits.memory,
            capacity=settings.capacity,
            engine=info.title[:64],
            agent_version=__version__[:64],
            problem=self._look.problem.en if self._look.problem else "",
            walls_revision=self._walls.revision,
            crash_looping=sorted({*self._crashes.looping, *self._restorer.failing})[:MAX_CRASHING],
        )

    async def _heed(self, stale: list[int], removals: Sequence[Removal] = ()) -> None:
        """Apps that live elsewhere now: removed at once up to the generation that Deploy names, or once it has said so several
        times, and never one in a rollout. Databases go only with apps that are deleted."""
        self._stale = {app_id: self._stale.get(app_id, 0) + 1 for app_id in stale}
        fences = {r.app_id: r.generation for r in removals}
        for app_id, beats in self._stale.items():
            fence = fences.get(app_id)
            if (fence is None and beats < STALE_BEATS) or self._node.busy.rolling(app_id):
                continue
            app = await self._node.look(app_id)
            if user_id := app.user_id or self._journal.user(app_id):
                log.get("heartbeat").info("placement.left", app_id=app_id, generation=fence)
                gone = AgentApp(user_id=str(user_id), app_id=str(app_id), generation=fence)
                try:
                    await self._apps.delete(gone, keep_databases=fence is not None)
                except Conflict:  # it was deployed here anew since Deploy decided
                    log.get("heartbeat").info("placement.newer_here", app_id=app_id, generation=fence)

    def _cpu_pct(self) -> float | None:
        try:
            now = CpuTimes.parse(Path("/proc/stat").read_text())
        except OSError:
            return None
        before, self._cpu = self._cpu, now
        return max(0.0, min(100.0, now.since(before))) if before else None


def _disk(data_root: str) -> tuple[int, int]:
    """(free, total) bytes of the disk that containers live on; what an ordinary user could still write."""
    place = Path(data_root or "/")
    while not place.exists() and place != place.parent:
        place = place.parent
    usage = shutil.disk_usage(place)
    stats = os.statvfs(place)
    return stats.f_bavail * stats.f_frsize, usage.total


def _memory(name: str) -> int | None:
    try:
        return memory_in(Path("/proc/meminfo").read_text(), name)
    except OSError:
        return None
