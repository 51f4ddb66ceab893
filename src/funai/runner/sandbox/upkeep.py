"""Order among the apps' stores and base images: superseded images, stores without builds, a disk that is full."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from funai.base.process import proc
from funai.base.process.proc import Command
from funai.runner.cleanup.caches import Limits, caches_in, superfluous
from funai.runner.cleanup.fs import remove_tree
from funai.runner.sandbox.stores import Store
from funai.runner.sandbox.workshop import Workshop

MANY = 40
"""Images in one store, layers of its builds included, after which superseded ones go."""
_PRUNE_SECONDS = 300
_MAX_LIST = 16 * 1024 * 1024


async def tidy(
    shop: Workshop, folder: Path, *, most_images: int, most_bytes: int, caches: Limits, full: Callable[[], bool]
) -> int:
    """Bring them under their limits, least recently used first; answers how many stores and base images went.

    ``folder`` is for this call alone. ``full``: whether the disk is, asked before each removal.
    """
    counts: dict[Path, int] = {}
    for store in shop.stores.all():
        await _caches(shop, store, caches)
        counts[store.folder] = await _store(shop, store, folder, most_bytes, prune=full())
    gone = 0
    for store in shop.stores.all():
        if sum(counts.values()) <= most_images and not full():
            break
        if await shop.stores.remove(store):
            counts.pop(store.folder, None)
            gone += 1
    for base in shop.bases.pulled():
        if not full():
            break
        gone += await shop.bases.evict(base)
    return gone


async def _caches(shop: Workshop, store: Store, limits: Limits) -> None:
    async with shop.stores.idle(store) as idle:
        found = await asyncio.to_thread(caches_in, store.caches) if idle else []
        for cache in superfluous(found, time.time(), limits):
            await remove_tree(cache.path)


async def _store(shop: Workshop, store: Store, folder: Path, most_bytes: int, *, prune: bool) -> int:
    """Prune one store when it has many images or the disk is full; begin it anew when it is too large all the same."""
    async with shop.stores.idle(store) as idle:
        count = image_count(store)
        if not idle:
            return count
        size = await shop.stores.measure(store)
        if count > MANY or prune or size > most_bytes:
            await _pruned(shop, store, folder)
            count, size = image_count(store), await shop.stores.measure(store)
        if size > most_bytes:
            await shop.stores.empty(store)
            count = 0
        return count


async def _pruned(shop: Workshop, store: Store, folder: Path) -> None:
    async def run(command: Command) -> int:
        return (await proc.run(command, timeout=_PRUNE_SECONDS)).code

    # A disk without room for what a prune needs: whole stores go instead.
    with suppress(proc.ProcessTimeout, OSError):
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        async with shop.sandbox.room(folder, ()) as room:
            await room.prune(run, store, shop.under(store))


def image_count(store: Store) -> int:
    """Images that the store lists; what lists them was written inside the wall."""
    try:
        fd = os.open(store.images / "overlay-images" / "images.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            return len(json.loads(file.read(_MAX_LIST)))
    except (OSError, ValueError, TypeError):
        return 0
