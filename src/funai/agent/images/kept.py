"""Images of earlier releases on this node: some are kept for a quick way back, the others go; under disk pressure all do.

What goes is logged and counted. An image that a container or a running rollout uses stays.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from funai.agent.engine.contract import Engine, EngineError, StoredImage
from funai.agent.images.gc import Discard, ImageGC, disposable
from funai.agent.images.pull import Images
from funai.agent.metrics import AgentMetrics
from funai.base.observability import log

_REPOSITORY = re.compile(r"(?:^|/)(u[1-9][0-9]*-app[1-9][0-9]*)(?=[:@]|$)")
SUPERSEDED, DISK = "superseded", "disk"
AFTER_SECONDS = 5.0
"""Without a deploy, before older images go: one that follows would wait for the engine, which removes layers meanwhile."""


def repositories(images: Iterable[StoredImage]) -> list[str]:
    """The apps' own repositories that any image of the node is named by, ``u4-app7``."""
    found = {match[1] for image in images for name in (*image.names, *image.digests) if (match := _REPOSITORY.search(name))}
    return sorted(found)


def superseded(
    images: Collection[StoredImage],
    *,
    app_repository: str,
    used: Collection[str],
    held: Collection[str],
    registry: str,
    keep: int,
) -> list[Discard]:
    """What goes when ``keep`` images of the app stay with those in use, the newest first."""
    mine = [i for i in images if any(f"/{app_repository}{mark}" in n for n in (*i.names, *i.digests) for mark in ":@")]
    in_use = sum(1 for image in mine if image.id in used)
    born = {image.id: image.created for image in mine}
    old = disposable(mine, app_repository=app_repository, refs=(), used=used, held=held, registry=registry)
    old.sort(key=lambda discard: born[discard.id], reverse=True)
    return old[max(0, keep - in_use) :]


class KeptImages:
    """``keep`` images of each app stay; below ``free_pct`` of free disk only those in use do."""

    def __init__(
        self, engine: Engine, images: Images, gc: ImageGC, metrics: AgentMetrics, *, keep: int, free_pct: float, data_root: str
    ) -> None:
        self._engine, self._images, self._gc, self._metrics = engine, images, gc, metrics
        self._keep, self._free_pct, self._data_root = keep, free_pct, data_root
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def deployed(self, app_repository: str) -> None:
        """The app has a new release: its older images go when the node has a moment. On a busy one the sweep takes them."""
        self._waiting.add(app_repository)
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(AFTER_SECONDS, self._clean_waiting)

    def _clean_waiting(self) -> None:
        apps, self._waiting = self._waiting, set()
        task = asyncio.create_task(self._clean(apps, self._keep, SUPERSEDED), name="images")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def sweep(self) -> None:
        """Look at all apps: what a deploy left since its old container was still draining, and the disk."""
        short = await asyncio.to_thread(self._short_of_disk)
        try:
            apps = repositories(await self._engine.images())
        except EngineError as e:
            log.get("images").info("images.not_looked_at", why=str(e))
            return
        await self._clean(apps, 0 if short else self._keep, DISK if short else SUPERSEDED)

    async def _clean(self, apps: Collection[str], keep: int, why: str) -> None:
        if not apps:
            return
        try:
            images, used = await self._engine.images(), await self._engine.images_in_use()
        except EngineError as e:
            log.get("images").info("images.not_looked_at", why=str(e))
            return
        held, registry = self._images.held, self._images.registry
        for app in apps:
            plan = superseded(images, app_repository=app, used=used, held=held, registry=registry, keep=keep)
            gone = [discard.names[0] for discard in plan if await self._gc.remove(discard)]
            if gone:
                self._metrics.images_removed.labels(why).inc(len(gone))
                log.get("images").info("images.removed", app=app, why=why, images=gone)

    def _short_of_disk(self) -> bool:
        place = Path(self._data_root or "/")
        while not place.exists() and place != place.parent:
            place = place.parent
        usage = shutil.disk_usage(place)
        return 100 * usage.free / usage.total < self._free_pct if usage.total else False

    async def close(self) -> None:
        """What isn't removed by now stays until the next sweep."""
        if self._timer:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
