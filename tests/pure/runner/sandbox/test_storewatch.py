"""What a build may write behind the wall, counted without believing what its store says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from funai.runner.build.diskwatch import ENTRY_BYTES
from funai.runner.sandbox.stores import Store
from funai.runner.sandbox.storewatch import WHOLE, StoreWatch, working_layers

LIMIT = 400_000
LAYER = "a" * 64


class Build:
    def __init__(self, folder: Path) -> None:
        self.job, self.store = folder / "job", Store(folder / "store")
        for made in (self.job, *self.store.parts):
            made.mkdir(parents=True)
        self.watch = StoreWatch(self.job, LIMIT)

    def works_on(self, *layers: object) -> None:
        containers = self.store.images / "overlay-containers"
        containers.mkdir(exist_ok=True)
        (containers / "containers.json").write_text(json.dumps([{"layer": layer} for layer in layers]))

    def writes(self, layer: str, size: int, name: str = "file") -> Path:
        file = self.store.images / "overlay" / layer / "diff" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bytes(size))
        return file


@pytest.fixture
def build(tmp_path: Path) -> Build:
    return Build(tmp_path)


def test_over_of_a_jobs_folder_and_of_a_pull_follows_the_limit(build: Build, tmp_path: Path) -> None:
    assert not build.watch.over()
    (build.job / "source").write_bytes(bytes(LIMIT + 1))
    assert build.watch.over()
    (build.job / "source").unlink()
    build.watch.pull = tmp_path / "pull"
    build.watch.pull.mkdir()
    (build.watch.pull / "layer").write_bytes(bytes(LIMIT + 1))
    assert build.watch.over()


def test_over_counts_a_pull_that_has_ended(build: Build, tmp_path: Path) -> None:
    for name in ("one", "two"):
        build.watch.pull = tmp_path / name
        build.watch.pull.mkdir()
        (build.watch.pull / "layer").write_bytes(bytes(LIMIT * 2 // 3))
        over = build.watch.over()
        build.watch.pull = None
    assert over and build.watch.over()


def test_over_counts_what_earlier_steps_wrote(build: Build) -> None:
    build.watch.begin(build.store)
    for layer in ("b" * 64, "c" * 64, "d" * 64):
        build.works_on(layer)
        file = build.writes(layer, LIMIT * 2 // 5)
        over = build.watch.over()
        file.unlink()
    assert over


def test_over_of_many_empty_files_counts_their_inodes(build: Build) -> None:
    build.watch.begin(build.store)
    build.works_on(LAYER)
    for n in range(LIMIT // ENTRY_BYTES + 1):
        build.writes(LAYER, 0, f"f{n}")
    assert build.watch.over()


def test_over_of_a_store_that_names_no_layer_is_held_by_its_size(build: Build) -> None:
    """The list of working containers is a tenant's to write: hiding there is worth three times the limit at most."""
    build.watch.begin(build.store)
    build.writes(LAYER, WHOLE * LIMIT - 10 * ENTRY_BYTES)
    assert not build.watch.over()
    (build.store.caches / "more").write_bytes(bytes(20 * ENTRY_BYTES))
    assert build.watch.over()


def test_over_leaves_out_what_earlier_builds_left_in_the_store(build: Build) -> None:
    (build.store.caches / "npm").write_bytes(bytes(10 * LIMIT))
    build.store.write({"bytes": 10 * LIMIT + ENTRY_BYTES})
    build.watch.begin(build.store)
    assert not build.watch.over()


def test_working_layers_of_what_a_tenant_wrote_are_names_of_layers(build: Build, tmp_path: Path) -> None:
    build.works_on(LAYER, "../../../etc", "A" * 64, 7, None)
    assert working_layers(build.store.images) == [LAYER]
    listed = build.store.images / "overlay-containers" / "containers.json"
    for text in ("7", "[1]", "{", '{"a": 1}'):
        listed.write_text(text)
        assert working_layers(build.store.images) == []
    listed.unlink()
    (tmp_path / "host.json").write_text(json.dumps([{"layer": LAYER}]))
    listed.symlink_to(tmp_path / "host.json")
    assert working_layers(build.store.images) == []
    listed.unlink()
    os.mkfifo(listed)
    assert working_layers(build.store.images) == []
