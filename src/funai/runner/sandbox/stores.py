"""A store for each app: its layers, images and caches, seen by no other app's build.

``stores/{app}`` below the work dir, closed to all but the host's root; what lies inside belongs to the build's ids
and is written by a tenant's code: nothing here follows a link in it or trusts what it says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from funai.base.files import write_whole
from funai.runner.build.diskwatch import tree_bytes
from funai.runner.cleanup.fs import remove_tree
from funai.runner.sandbox.wall import FIRST_ID

MAX_BASES = 24
"""Base images that a store's layers may stand on; with more it is begun anew."""


@dataclass(frozen=True, slots=True)
class Store:
    """One app's. ``parts`` are bound into its builds, each by itself: what lies beside them in ``folder`` is ours."""

    folder: Path

    @property
    def images(self) -> Path:
        """The engine's graph root."""
        return self.folder / "images"

    @property
    def caches(self) -> Path:
        """What ``RUN --mount=type=cache`` keeps from one build to the next."""
        return self.folder / "caches"

    @property
    def blobs(self) -> Path:
        """What the engine remembers of the registry's blobs."""
        return self.folder / "blobs"

    @property
    def parts(self) -> tuple[Path, ...]:
        return (self.images, self.caches, self.blobs)

    @property
    def _record(self) -> Path:
        return self.folder / "record.json"

    def prepare(self) -> None:
        """Make what is missing, with the build's ids as owner."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in self.parts:
            part.mkdir(exist_ok=True, mode=0o700)
            os.chown(part, FIRST_ID, FIRST_ID)

    def read(self) -> dict[str, object]:
        with suppress(OSError, ValueError):
            found: object = json.loads(self._record.read_text())
            if isinstance(found, dict):
                return found  # pyright: ignore[reportUnknownVariableType]
        return {}

    def write(self, record: dict[str, object]) -> None:
        write_whole(self._record, json.dumps(record))

    @property
    def bytes(self) -> int:
        found = self.read().get("bytes")
        return found if isinstance(found, int) else 0

    def note_bytes(self, total: int) -> None:
        """Keep its size. Being measured is no use: which store goes first depends on that. Raises OSError."""
        used_at = self.used_at
        self.write({**self.read(), "bytes": total})
        os.utime(self._record, (used_at, used_at))

    @property
    def used_at(self) -> float:
        with suppress(OSError):
            return self._record.stat().st_mtime
        return 0.0


class Stores:
    """All apps' stores of a Runner. A store is its build's alone while that holds it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, asyncio.Lock] = {}
        self._held = Counter[str]()

    def of(self, repository: str) -> Store:
        """The store of the app with this image repository."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "_", repository.rpartition("/")[2])[:64]
        return Store(self._folder / f"{name}-{hashlib.sha256(repository.encode()).hexdigest()[:12]}")

    @asynccontextmanager
    async def held(self, repository: str) -> AsyncIterator[Store]:
        """The store, made when it isn't there, for one holder at a time."""
        store = self.of(repository)
        name = store.folder.name
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._held[name] += 1
        try:
            async with lock:
                await asyncio.to_thread(store.prepare)
                yield store
        finally:
            self._let_go(name)

    @contextmanager
    def kept(self, repository: str) -> Iterator[None]:
        """No eviction touches the store while the context is open; builds and pushes may hold it."""
        name = self.of(repository).folder.name
        self._held[name] += 1
        try:
            yield
        finally:
            self._let_go(name)

    def all(self) -> list[Store]:
        """Least recently used first."""
        found = [Store(f) for f in self._folder.iterdir() if f.is_dir()] if self._folder.is_dir() else []
        return sorted(found, key=lambda s: s.used_at)

    async def remove(self, store: Store) -> bool:
        """With all that is in it; False when a build holds it."""
        async with self.idle(store) as idle:
            if idle:
                await remove_tree(store.folder)
            return idle

    @staticmethod
    async def empty(store: Store) -> None:
        """Begin anew, for who holds it."""
        for part in store.parts:
            await remove_tree(part)
        store.write({})
        await asyncio.to_thread(store.prepare)

    @asynccontextmanager
    async def idle(self, store: Store) -> AsyncIterator[bool]:
        """Hold a store that no job holds, waits for or keeps; False when one does."""
        name = store.folder.name
        if self._held[name]:
            yield False
            return
        lock = self._locks.setdefault(name, asyncio.Lock())
        self._held[name] += 1
        try:
            async with lock:
                yield True
        finally:
            self._let_go(name)

    def _let_go(self, name: str) -> None:
        self._held[name] -= 1
        if self._held[name] <= 0:
            self._held.pop(name, None)
            self._locks.pop(name, None)

    @staticmethod
    async def measure(store: Store) -> int:
        """Bytes on disk; kept in the record for the next build's watch, unless the disk has no room for that."""
        total = sum([await asyncio.to_thread(tree_bytes, part, 1 << 62) for part in store.parts])
        with suppress(OSError):
            store.note_bytes(total)
        return total
