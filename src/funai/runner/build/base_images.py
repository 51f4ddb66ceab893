"""The images a build stands on, fetched and looked at before it begins.

The engine would run a base image's ONBUILD triggers as if they stood in the Dockerfile, and resolves short names among
everything it holds. So each image that the build needs is looked at first, by the engine's own resolution, and what is
missing is pulled by the policy; the build itself then names each in full, pulls nothing and has no login.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funai.base.process import proc
from funai.base.process.proc import Command
from funai.contracts.errors import BadInput
from funai.contracts.reasons import FailureCode
from funai.contracts.rules import ImageRef, full_name, parse_image
from funai.dockerfile.images import Allowed, needs_login
from funai.i18n.reasons import Words
from funai.runner.build.reading import BaseFacts
from funai.runner.commands.engine import Engine
from funai.runner.failures import JobFailed, invalid, last_lines
from funai.runner.publish.registry import Registry
from funai.runner.settings import RunnerSettings

_DOCKERS = ("onbuild", "shell", "healthcheck")
MAX_BASES = 50
MAX_CONFIG = 8 * 1024 * 1024
LOOK_SECONDS = 60

Run = Callable[[Command], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class BaseImage:
    """What the engine holds under a reference. ``names`` are all its names, tags and digests."""

    id: str
    names: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    triggers: tuple[str, ...]
    shell: tuple[str, ...] = ()
    docker: bool = False
    """Its configuration has what only Docker's own format can pass on: a shell, a health check, triggers."""

    @staticmethod
    def of(image_id: str, names: Iterable[str], config: bytes) -> BaseImage:
        """From the image's own configuration as it stands. Raises JobFailed when that can't be read."""
        try:
            return BaseImage(image_id, tuple(names), *parse_config(json.loads(config, object_pairs_hook=_Pairs)))
        except ValueError as e:
            raise JobFailed(FailureCode.INTERNAL, detail=f"{image_id[:12]}: config: {e}") from e


class BaseAbsent(Exception):
    """The image that a short name means isn't here and can't be had; the engine would take another one that ends alike."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(name)


class Bases:
    """Looks and pulls for all builds of a Runner. ``search``: the engine's registries for names without one."""

    def __init__(
        self, settings: RunnerSettings, engine: Engine, registry: Registry, storage: Path, search: Sequence[str] = ()
    ) -> None:
        self._settings, self._engine, self._storage, self._search = settings, engine, storage, search
        self._registry = registry
        self._seen: dict[str, tuple[object, BaseImage]] = {}
        self._standing: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}
        self._records = settings.workdir / "bases"

    @asynccontextmanager
    async def ready(self, images: Sequence[str], allowed: Allowed, tmp: Path, run: Run) -> AsyncIterator[dict[str, BaseImage]]:
        """The images by their names, as they are looked at; they stay so while the context is open.

        Raises JobFailed when one is not for this tenant, BaseAbsent when one can't be had. ``run`` runs a pull under the
        build's limits and answers its exit status.
        """
        if len(images) > MAX_BASES:
            raise JobFailed(FailureCode.CONTRACT_INVALID, detail=f"FROM, --from: {len(images)} > {MAX_BASES}")
        held: list[str] = []
        found: dict[str, BaseImage] = {}
        try:
            for name in images:
                keys = sorted(meanings(name, self._search))
                async with AsyncExitStack() as locks:
                    # By the full name: a pull from a registry that never answers must not delay another's image.
                    for key in keys:
                        await locks.enter_async_context(self._locks.setdefault(key, asyncio.Lock()))
                    image = await self._have(name, keys, allowed, tmp, run)
                    self._standing.update(keys)
                    held += keys
                judge(name, image, allowed)
                found[name] = image
            yield found
        finally:
            self._standing.subtract(held)

    def facts(self, images: Mapping[str, BaseImage]) -> dict[str, BaseFacts]:
        """What the Dockerfile has from each, and the full name by which the engine finds exactly it."""
        return {
            name: BaseFacts(self._full(name, image), dict(image.env), image.shell, image.triggers)
            for name, image in images.items()
        }

    def _full(self, name: str, image: BaseImage) -> str:
        meant = meanings(name, self._search)
        if self._engine.docker or "@" in name:
            return full_name(parse_image(name))
        return next((n for n in image.names if n in meant), full_name(parse_image(name)))

    async def _have(self, name: str, keys: Sequence[str], allowed: Allowed, tmp: Path, run: Run) -> BaseImage:
        """The image, pulled by the policy. One that a build stands on stays: what was looked at is what is used."""
        policy, stands = self._settings.pull, any(self._standing[key] for key in keys)
        image = await self._here(name)
        right = image is not None and self._means(name, image)
        for key in keys:
            with suppress(FileNotFoundError):
                os.utime(self._record_of(key))
        if image and right and (policy != "always" or stands):
            return image
        if policy != "never":
            await self._registry.check_reach(parse_image(name))
        pulled = policy != "never" and await run(self._pull(name, allowed, tmp)) == 0
        image = await self._here(name)
        # After a pull the engine finds what it pulled; it falls back on names that merely end alike when there is none.
        if image is None or (not pulled and not self._means(name, image)):
            raise BaseAbsent(name)
        if pulled:
            await asyncio.to_thread(self._record, image, keys)
        return image

    def _pull(self, name: str, allowed: Allowed, tmp: Path) -> Command:
        """With the platform's login for the app's own images and the operator's base images, and for no others."""
        return self._engine.pull(name, login=needs_login(parse_image(name), allowed), tmp=tmp)

    def _record_of(self, name: str) -> Path:
        return self._records / hashlib.sha256(name.encode()).hexdigest()[:32]

    def _record(self, image: BaseImage, keys: Sequence[str]) -> None:
        """That this Runner pulled it, so that a full disk may take it away; the file's time is its last use."""
        tags = [n for n in image.names if "@" not in n]
        self._records.mkdir(exist_ok=True)
        for name in [n for n in tags if n in keys] or tags[:1]:
            self._record_of(name).write_text(name)

    def pulled(self) -> list[str]:
        """Full names of the images that this Runner pulled, least recently used first."""
        files = sorted(self._records.glob("*"), key=lambda f: f.stat().st_mtime)
        return [f.read_text() for f in files]

    async def evict(self, name: str) -> bool:
        """Remove one that no build stands on; False when it stays."""
        lock = self._locks.setdefault(name, asyncio.Lock())
        if lock.locked():
            return False
        async with lock:
            if self._standing[name]:
                return False
            await proc.run(self._engine.remove_images(name), timeout=300)
            if (await proc.run(self._engine.has_image(name), timeout=LOOK_SECONDS)).code == 0:
                return False
            self._record_of(name).unlink(missing_ok=True)
            return True

    def _means(self, name: str, image: BaseImage) -> bool:
        """Whether the reference means this image. Podman also finds ``evil.example/node:20`` under ``node:20``."""
        return self._engine.docker or "@" in name or any(n in meanings(name, self._search) for n in image.names)

    async def _here(self, name: str) -> BaseImage | None:
        """The image as the engine resolves the name.

        A program's start costs more than reading the engine's list: what is known stays known while the list has the
        same images of this name.
        """
        if self._engine.docker:
            return await self._ask(name)
        known = self._seen.get(name)
        alike = await asyncio.to_thread(_alike, self._storage, name, known[1].id if known else "")
        if known and known[0] == alike:
            return known[1]
        image = await self._ask(name)
        if image:
            self._seen[name] = (await asyncio.to_thread(_alike, self._storage, name, image.id), image)
        return image

    async def _ask(self, name: str) -> BaseImage | None:
        # Docker finds a short name among the ids of all that it holds.
        asked = full_name(parse_image(name)) if self._engine.docker else name
        done = await proc.run(self._engine.look(asked), timeout=LOOK_SECONDS)
        if done.code != 0:
            # An image that is here and can't be looked at must not be built on.
            there = (await proc.run(self._engine.exists(asked), timeout=LOOK_SECONDS)).code
            if there != 1:
                raise JobFailed(FailureCode.INTERNAL, last_lines(done.error_text), detail=name)
            return None
        found, tags, digests, *more = json.loads(done.text)
        image_id, names = str(found).removeprefix("sha256:"), [*(tags or ()), *(digests or ())]
        config = more[0] if more else await asyncio.to_thread(_podmans_config, self._storage, image_id)
        return BaseImage(image_id, tuple(names), *parse_config(config))


def meanings(name: str, search: Sequence[str] = ()) -> set[str]:
    """The full names that a reference can stand for: one where it names its registry, else one in each that is searched.

    Raises BadInput for what is no image's name.
    """
    ref = parse_image(name)
    places = [ref.registry] if ref.registry else [*search, "docker.io", "localhost"]
    return {full_name(ImageRef(place, ref.path, ref.tag, ref.digest)) for place in places}


def judge(name: str, image: BaseImage, allowed: Allowed) -> None:
    """Raises JobFailed when all names of the image are of another app's, or of the platform's own."""
    if image.names and all(allowed.foreign(n) for n in image.names):
        words = Words(f"不能使用镜像 {name[:200]}", f"the image {name[:200]} may not be used here")
        raise invalid(BadInput(detail=words))


def _alike(storage: Path, name: str, image_id: str) -> frozenset[tuple[str, tuple[str, ...]]] | None:
    """Podman's images whose name ends like this one, and the one with this id; None when the list can't be read."""
    out: set[tuple[str, tuple[str, ...]]] = set()
    try:
        for listing in storage.glob("*-images/images.json"):
            images: list[dict[str, Any]] = json.loads(listing.read_bytes())
            for image in images:
                names = tuple(image.get("names") or ())
                if image["id"] == image_id or any(_last(n) == _last(name) for n in names):
                    out.add((image["id"], names))
    except (OSError, ValueError, KeyError):
        return None
    return frozenset(out)


def image_ids(storage: Path) -> set[str]:
    """Ids of all images that Podman's store lists now."""
    try:
        return {str(i["id"]) for listing in storage.glob("*-images/images.json") for i in json.loads(listing.read_bytes())}
    except (OSError, ValueError):
        return set()


def _last(name: str) -> str:
    """The last part of an image's path, without tag and digest: short names end like the full one."""
    return name.partition("@")[0].rpartition("/")[2].partition(":")[0].lower()


def _podmans_config(storage: Path, image_id: str) -> object:
    """The image's own configuration; Podman's inspect leaves ONBUILD out of it. Raises JobFailed when it can't be read."""
    for file in storage.glob(f"*-images/{image_id}/{config_of(image_id)}"):
        if file.stat().st_size <= MAX_CONFIG:
            return json.loads(file.read_bytes(), object_pairs_hook=_Pairs)
    raise JobFailed(FailureCode.INTERNAL, detail=f"{storage}: {image_id[:12]}: config")


def config_of(image_id: str) -> str:
    """The name of the file in Podman's store that holds the image's configuration."""
    return "=" + base64.b64encode(f"sha256:{image_id}".encode()).decode()


class _Pairs(list[tuple[str, object]]):
    """A JSON object with every key it has: engines read keys in any case, and the last of two equal ones."""


def parse_config(config: object) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...], tuple[str, ...], bool]:
    """Environment, ONBUILD triggers and shell, wherever in the configuration they stand; whether it is Docker's alone."""
    docker = False
    shell: tuple[str, ...] = ()
    env: list[tuple[str, str]] = []
    triggers: list[str] = []
    for key, value in _walk(config):
        docker = docker or (key.lower() in _DOCKERS and bool(value))
        if key.lower() == "onbuild" and isinstance(value, list):
            triggers += [str(v) for v in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        elif key.lower() == "shell" and isinstance(value, list):
            shell = tuple(str(v) for v in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        elif key.lower() == "env" and isinstance(value, list):
            pairs = [str(v).partition("=") for v in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            env += [(variable, text) for variable, _, text in pairs]
    return tuple(env), tuple(triggers), shell, docker


def _walk(value: object) -> Iterable[tuple[str, object]]:
    todo = [value]
    while todo:
        now: object = todo.pop()
        pairs: list[tuple[str, object]] = list(now.items()) if isinstance(now, dict) else now if isinstance(now, _Pairs) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        yield from pairs
        todo += [v for _, v in pairs]
        if isinstance(now, list) and not isinstance(now, _Pairs):
            todo += [v for v in now if isinstance(v, (dict, list))]  # pyright: ignore[reportUnknownVariableType]
