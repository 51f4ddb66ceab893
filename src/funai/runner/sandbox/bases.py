"""Base images, each in a read-only store of its own that any number of builds may stand on.

One process of ours fetches an image (by its full name, in a network that reaches its registry and nothing private) or
copies it from the machine's engine, where the operator put it. A build sees the stores of the images that its Dockerfile
names and no others, so that a short name can't mean what another tenant had pulled.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from funai.contracts.errors import BadInput
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import full_name, parse_image
from funai.dockerfile.images import Allowed
from funai.runner.build.base_images import MAX_BASES, MAX_CONFIG, BaseAbsent, BaseImage, config_of, judge, meanings
from funai.runner.build.reading import BaseFacts
from funai.runner.cleanup.fs import remove_tree
from funai.runner.failures import JobFailed
from funai.runner.sandbox.wall import FIRST_ID
from funai.runner.settings import RunnerSettings

JUST_NOW = 60.0
"""Seconds."""
Fetch = Callable[[str, Path], Awaitable[bool]]
"""Pull the full name, or copy it from the machine's engine, into the folder (a graph root); False when it can't be had."""
Names = Callable[[], Awaitable[dict[str, str]]]
"""The machine's engine's images: full name → id."""


@dataclass(frozen=True, slots=True)
class Held:
    """A base image in its store. ``folder`` is the graph root's parent."""

    image: BaseImage
    folder: Path
    pulled: bool
    private: bool = False
    """It was pulled with the login of the app that alone may stand on it."""

    @property
    def root(self) -> Path:
        return self.folder / "root"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a build's base images may come from."""

    pull: Fetch
    copy: Fetch
    machine: Names


class BaseStores:
    """The stores of a Runner. ``search``: registries of names that have none."""

    def __init__(self, settings: RunnerSettings, folder: Path, search: Sequence[str] = ()) -> None:
        self._settings, self._folder, self._search = settings, folder, search
        self._locks: dict[str, asyncio.Lock] = {}
        self._standing = Counter[str]()
        self._known: dict[str, Held] = {}

    @asynccontextmanager
    async def ready(self, images: Sequence[str], allowed: Allowed, sources: Sources) -> AsyncIterator[dict[str, Held]]:
        """The images by their names; they stay while the context is open.

        Raises JobFailed when one is not for this tenant, BaseAbsent when one can't be had.
        """
        if len(images) > MAX_BASES:
            raise JobFailed(FailureCode.CONTRACT_INVALID, detail=f"FROM, --from: {len(images)} > {MAX_BASES}")
        found: dict[str, Held] = {}
        try:
            for name in images:
                held = await self._have(name, allowed, sources)
                if held is None:
                    raise BaseAbsent(name)
                self._standing[held.folder.name] += 1
                found[name] = held
                judge(name, held.image, allowed)
            yield found
        finally:
            for held in found.values():
                self._standing[held.folder.name] -= 1

    def facts(self, images: Mapping[str, BaseImage]) -> dict[str, BaseFacts]:
        """What the Dockerfile has from each, and the full name by which the engine finds exactly it."""
        out: dict[str, BaseFacts] = {}
        for name, image in images.items():
            meant = meanings(name, self._search)
            full = next((n for n in image.names if n in meant), full_name(parse_image(name)))
            out[name] = BaseFacts(full, dict(image.env), image.shell, image.triggers)
        return out

    async def _have(self, name: str, allowed: Allowed, sources: Sources) -> Held | None:
        """The image under its first meaning that is here, on the machine's engine, or can be pulled."""
        try:
            parse_image(name)
        except BadInput:
            return None
        names = [n for n in ordered_meanings(name, self._search) if not allowed.foreign(n)]
        machine = await sources.machine()
        for full in names:
            async with self._lock(full, allowed):
                if held := await self._local(full, allowed, sources, machine):
                    return held
        pulls = self._settings.pull != "never"
        for full in (n for n in names if pulls and not n.startswith("localhost/")):
            async with self._lock(full, allowed):
                held = await asyncio.to_thread(self._read, full, allowed)
                if held is None or self._settings.pull == "always":
                    held = await self._made(full, allowed, sources.pull, pulled=True) or held
            if held:
                return held
        return None

    async def _local(self, full: str, allowed: Allowed, sources: Sources, machine: dict[str, str]) -> Held | None:
        """What needs no pull by the policy: the store's, or a copy of what the operator has on the machine's engine."""
        held = await asyncio.to_thread(self._read, full, allowed)
        there = machine.get(full) if any(fnmatchcase(full, p) for p in self._settings.machine_images) else None
        if there and (held is None or not held.image.id.startswith(there)) and not (held and held.pulled):
            held = await self._made(full, allowed, sources.copy, pulled=False) or held
        return None if held and held.pulled and self._settings.pull == "always" else held

    def _lock(self, full: str, allowed: Allowed) -> asyncio.Lock:
        return self._locks.setdefault(self._key(full, allowed), asyncio.Lock())

    def _key(self, full: str, allowed: Allowed) -> str:
        # What needed the app's own login is that app's alone.
        owner = allowed.own if allowed.owns(full) else ""
        return hashlib.sha256(f"{owner}\n{full}".encode()).hexdigest()[:24]

    async def _made(self, full: str, allowed: Allowed, fetch: Fetch, *, pulled: bool) -> Held | None:
        """Fetched into a new store, which then takes the place of an older one; None when it can't be had."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = self._key(full, allowed)
        fresh = self._folder / f".new-{key}-{secrets.token_hex(4)}"
        fresh.mkdir(mode=0o700)
        root = fresh / "root"
        root.mkdir(mode=0o700)
        os.chown(root, FIRST_ID, FIRST_ID)
        try:
            if not await fetch(full, root):
                return None
            image = await asyncio.to_thread(read_image, root)
            record = {"name": full, "owner": allowed.own if allowed.owns(full) else "", "pulled": pulled, "id": image.id}
            (fresh / "record.json").write_text(json.dumps(record))
            place = self._folder / f"{key}-{image.id[:16]}"
            if place.exists():
                if self._standing[place.name]:
                    return Held(image, place, pulled)
                await remove_tree(place)
            fresh.rename(place)
            held = Held(image, place, pulled)
            self._known[key] = held
            await self._drop_older(key, place)
            return held
        finally:
            if fresh.exists():
                await remove_tree(fresh)

    async def _drop_older(self, key: str, but: Path) -> None:
        for folder in self._folder.glob(f"{key}-*"):
            if folder != but:
                await self.evict(folder)

    def _read(self, full: str, allowed: Allowed) -> Held | None:
        """From the disk at first, then from memory while its folder is there. Its use is noted."""
        key = self._key(full, allowed)
        held = self._known.get(key)
        if held is None or not held.folder.is_dir():
            self._known.pop(key, None)
            places = sorted(self._folder.glob(f"{key}-*"), key=lambda p: p.stat().st_mtime)
            held = next((h for p in reversed(places) if (h := read_held(p))), None)
        if held:
            self._known[key] = held
            os.utime(held.folder / "record.json")
        return held

    def pulled(self) -> list[Path]:
        """Stores of pulled images, least recently used first."""
        found = [(f, read_held(f.parent)) for f in self._folder.glob("*/record.json")]
        stores = [(f.stat().st_mtime, held.folder) for f, held in found if held and held.pulled]
        return [folder for _, folder in sorted(stores)]

    @contextmanager
    def standing(self, folders: Sequence[Path]) -> Iterator[None]:
        """The stores stay while the context is open."""
        names = [folder.name for folder in folders]
        self._standing.update(names)
        try:
            yield
        finally:
            self._standing.subtract(names)

    async def evict(self, folder: Path) -> bool:
        """Remove one that no build or push stands on, or did so just now; False when it stays."""
        with suppress(OSError):
            if time.time() - (folder / "record.json").stat().st_mtime < JUST_NOW:
                return False
        if self._standing[folder.name]:
            return False
        await remove_tree(folder)
        return True

    async def sweep(self) -> None:
        """What a killed life had begun to fetch."""
        for folder in self._folder.glob(".new-*"):
            await remove_tree(folder)

    def folder_of(self, name: str) -> Path | None:
        """The store with this folder's name, while it is there."""
        place = self._folder / name
        return place if place.is_dir() else None


def ordered_meanings(name: str, search: Sequence[str]) -> list[str]:
    """:func:`meanings` in the order in which they are tried: the searched registries, Docker Hub, the machine's own."""
    places = [*search, "docker.io", "localhost"]
    return sorted(meanings(name, search), key=lambda n: places.index(p) if (p := n.partition("/")[0]) in places else 0)


def read_held(folder: Path) -> Held | None:
    """A store from the disk; None when it is none or its record is older than this program's form."""
    try:
        record = json.loads((folder / "record.json").read_text())
        pulled, private = bool(record["pulled"]), bool(record["owner"])
        return Held(read_image(folder / "root"), folder, pulled, private)
    except (OSError, ValueError, KeyError, TypeError, JobFailed):
        return None


def read_image(root: Path) -> BaseImage:
    """The one image of a store. What is read was written inside the wall, so no link is followed. Raises JobFailed."""
    try:
        (entry,) = json.loads(_safely(root, "overlay-images", "images.json"))
        image_id, names = str(entry["id"]), [str(n) for n in entry.get("names") or ()]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise JobFailed(FailureCode.INTERNAL, detail=f"{root}: {e}") from e
    config = _safely(root, "overlay-images", image_id, config_of(image_id))
    return BaseImage.of(image_id, names, config)


def _safely(root: Path, *parts: str) -> bytes:
    """A file below ``root`` by its parts, none of which may be a link. Raises OSError."""
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        with open(os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at), "rb") as file:
            data = file.read(MAX_CONFIG + 1)
    finally:
        os.close(at)
    if len(data) > MAX_CONFIG:
        raise OSError(f"{parts[-1]}: too large")
    return data
