"""The stores stay under their limits: superseded images, least recently built stores, pulled bases; never what is held."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from funai.runner.cleanup.caches import Limits
from funai.runner.sandbox import stores as stores_module
from funai.runner.sandbox import upkeep
from funai.runner.sandbox.stores import Store, Stores
from funai.runner.sandbox.workshop import Workshop

HUGE = 1 << 40
PIECE = 50_000


def _under(_: Store) -> list[Path]:
    return []


def _chown(*_: object) -> None:
    """Ids of a build are root's to give."""


class Shop:
    """Stores on a real disk; its prune keeps one image of a store, and base images are names in a list."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.stores = folder, Stores(folder / "stores")
        self.pruned = list[str]()
        self.based = [folder / "base-old", folder / "base-new"]
        self.evicted = list[Path]()

    def store(self, name: str, *, images: int = 1, used_at: float = 0, size: int = 0) -> Store:
        store = self.stores.of(f"registry/t/{name}")
        for part in store.parts:
            part.mkdir(parents=True)
        self.list_images(store, images)
        (store.caches / "piece").write_bytes(bytes(size))
        store.write({})
        os.utime(store.folder / "record.json", (used_at, used_at))
        return store

    @staticmethod
    def list_images(store: Store, images: int) -> None:
        listed = store.images / "overlay-images"
        listed.mkdir(exist_ok=True)
        (listed / "images.json").write_text(json.dumps([{"id": str(n)} for n in range(images)]))

    async def tidy(self, full: Callable[[], bool] = lambda: False, **limits: Any) -> int:
        shop = SimpleNamespace(
            stores=self.stores,
            sandbox=SimpleNamespace(room=self._room),
            under=_under,
            bases=SimpleNamespace(pulled=lambda: list(self.based), evict=self._evict),
        )
        given: dict[str, Any] = {"most_images": 100, "most_bytes": HUGE, "caches": Limits(HUGE, HUGE), **limits}
        return await upkeep.tidy(cast("Workshop", shop), self.folder / "tidy", full=full, **given)

    @asynccontextmanager
    async def _room(self, *_: object) -> AsyncIterator[Any]:
        async def prune(_: object, store: Store, __: object) -> bool:
            self.pruned.append(store.folder.name)
            self.list_images(store, 1)
            return True

        yield SimpleNamespace(prune=prune)

    async def _evict(self, base: Path) -> bool:
        self.evicted.append(base)
        return True


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(stores_module.os, "chown", _chown)
    return Shop(tmp_path)


async def test_tidy_under_all_limits_keeps_everything(shop: Shop) -> None:
    store = shop.store("a", images=upkeep.MANY, used_at=1)
    assert await shop.tidy() == 0
    assert store.folder.exists() and (shop.pruned, shop.evicted) == ([], [])


async def test_tidy_over_the_number_of_images_removes_least_recently_built_stores(shop: Shop) -> None:
    old, middle, new = (shop.store(name, images=4, used_at=at) for name, at in (("z", 10), ("a", 20), ("m", 30)))
    assert await shop.tidy(most_images=8) == 1
    assert not old.folder.exists() and middle.folder.exists() and new.folder.exists()
    assert await shop.tidy(most_images=4) == 1
    assert not middle.folder.exists() and new.folder.exists()


async def test_tidy_of_a_store_that_a_build_holds_leaves_it(shop: Shop) -> None:
    held, idle = shop.store("held", images=90, used_at=1, size=PIECE), shop.store("idle", images=20, used_at=2)
    async with shop.stores.held("registry/t/held"):
        assert await shop.tidy(lambda: True, most_images=1, most_bytes=1) == 3
    assert held.folder.exists() and (held.caches / "piece").exists() and not idle.folder.exists()


async def test_tidy_of_a_store_between_its_build_and_its_push_leaves_it(shop: Shop) -> None:
    kept = shop.store("kept", images=90, used_at=1, size=PIECE)
    with shop.stores.kept("registry/t/kept"):
        async with shop.stores.held("registry/t/kept"):
            pass  # the build
        await shop.tidy(lambda: True, most_images=1, most_bytes=1)
        assert (kept.caches / "piece").exists() and shop.pruned == []
        async with shop.stores.held("registry/t/kept"):
            pass  # the push
    await shop.tidy(lambda: True, most_images=1, most_bytes=1)
    assert not kept.folder.exists()


async def test_tidy_of_many_images_prunes_and_keeps_the_store(shop: Shop) -> None:
    store = shop.store("a", images=upkeep.MANY + 1)
    assert await shop.tidy(most_images=10) == 0
    assert shop.pruned == [store.folder.name] and upkeep.image_count(store) == 1


async def test_tidy_of_a_store_too_large_begins_it_anew(shop: Shop) -> None:
    large, small = shop.store("large", size=4 * PIECE), shop.store("small", size=PIECE)
    assert await shop.tidy(most_bytes=2 * PIECE) == 0
    assert shop.pruned == [large.folder.name]
    assert large.folder.exists() and not (large.caches / "piece").exists() and (small.caches / "piece").exists()


async def test_tidy_of_caches_too_large_keeps_the_layers_and_what_a_build_holds(shop: Shop) -> None:
    idle, held = shop.store("idle"), shop.store("held")
    for store in (idle, held):
        (store.caches / "npm").mkdir()
        (store.caches / "npm" / "piece").write_bytes(bytes(PIECE))
    async with shop.stores.held("registry/t/held"):
        assert await shop.tidy(caches=Limits(PIECE - 1, HUGE)) == 0
    assert idle.images.exists() and not (idle.caches / "npm").exists() and (held.caches / "npm").exists()


async def test_tidy_of_a_full_disk_stops_when_there_is_room(shop: Shop) -> None:
    old, new = shop.store("old", used_at=1), shop.store("new", used_at=2)
    assert await shop.tidy(old.folder.exists) == 1
    assert not old.folder.exists() and new.folder.exists() and shop.evicted == []
    assert await shop.tidy(lambda: not shop.evicted) == 2
    assert not new.folder.exists() and shop.evicted == shop.based[:1]


def _no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_tidy_of_a_disk_without_room_for_a_record_still_removes(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    store = shop.store("a", used_at=1)
    monkeypatch.setattr(stores_module, "write_whole", _no_room)
    (shop.folder / "tidy").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        store.write({})
    assert await shop.tidy(store.folder.exists) == 1
    assert not store.folder.exists()


async def test_measure_keeps_the_time_of_the_last_build(shop: Shop) -> None:
    store = shop.store("a", used_at=1_000, size=PIECE)
    assert await Stores.measure(store) == store.bytes >= PIECE
    assert store.used_at == 1_000


async def test_image_count_of_what_a_tenant_wrote_is_a_number(shop: Shop, tmp_path: Path) -> None:
    store = shop.store("a", images=3)
    listed = store.images / "overlay-images" / "images.json"
    assert upkeep.image_count(store) == 3
    for text in ("7", "null", "{not json", ""):
        listed.write_text(text)
        assert upkeep.image_count(store) == 0
    listed.unlink()
    os.mkfifo(listed)
    assert upkeep.image_count(store) == 0
    listed.unlink()
    (tmp_path / "host.json").write_text("[1, 2]")
    listed.symlink_to(tmp_path / "host.json")
    assert upkeep.image_count(store) == 0
