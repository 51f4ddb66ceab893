"""Watches what a build behind the wall writes: into its app's store, its job's folder, or the base image it pulls.

The store is the app's alone, so all that grows in it is this build's. Nothing in it is trusted: of what the engine notes
there only the names of layers are taken, and a hard limit on the whole holds whatever it says.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from pathlib import Path
from typing import Any

from funai.runner.build.diskwatch import MAX_PAUSE, MIN_PAUSE, PAUSE_PER_SCAN, tree_bytes
from funai.runner.sandbox.stores import Store

_LAYER = re.compile(r"[0-9a-f]{64}")
_MAX_LIST = 16 * 1024 * 1024
WHOLE = 3
"""A step's files are there up to three times for a moment: as written, as an archive, as a layer of the image."""


class StoreWatch:
    """``run`` returns when the build is over its limit; otherwise it watches until cancelled."""

    def __init__(self, job: Path, limit: int) -> None:
        self._job, self._limit = job, limit
        self._store: Store | None = None
        self._before = 0
        self._largest: dict[str, int] = {}
        self._pulled: dict[Path, int] = {}
        self.pull: Path | None = None
        """The graph root into which a base image is fetched now."""

    def begin(self, store: Store) -> None:
        """From now on the store is watched too."""
        self._before, self._store = store.bytes, store

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            if await asyncio.to_thread(self.over):
                return
            await asyncio.sleep(min(MAX_PAUSE, max(MIN_PAUSE, PAUSE_PER_SCAN * (time.monotonic() - began))))

    def over(self) -> bool:
        """Whether the steps, the pulls of base images, or the store as a whole have become too large."""
        if self.pull is not None:
            self._pulled[self.pull] = max(tree_bytes(self.pull, self._limit), self._pulled.get(self.pull, 0))
        job = tree_bytes(self._job, self._limit)
        if max(job, sum(self._pulled.values())) > self._limit:
            return True
        store = self._store
        if store is None:
            return False
        for layer in working_layers(store.images):
            folder = store.images / "overlay" / layer / "diff"
            self._largest[layer] = max(tree_bytes(folder, self._limit), self._largest.get(layer, 0))
        beside = tree_bytes(store.images / "overlay-containers", self._limit) + job
        if sum(self._largest.values()) + beside > self._limit:
            return True
        most = self._before + WHOLE * self._limit
        return sum(tree_bytes(part, most) for part in store.parts) > most


def working_layers(images: Path) -> list[str]:
    """Layers that the engine's working containers write to."""
    try:
        fd = os.open(images / "overlay-containers" / "containers.json", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            listed: Any = json.loads(file.read(_MAX_LIST))
        names = [str(c.get("layer", "")) for c in listed]
    except (OSError, ValueError, AttributeError, TypeError):
        return []
    return [name for name in names if _LAYER.fullmatch(name)]
