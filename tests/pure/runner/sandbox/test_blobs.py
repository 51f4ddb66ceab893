"""What is known of base images' blobs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from funai.runner.sandbox.blobs import BLOBS_FILE, KnownBlobs
from funai.runner.sandbox.stores import Store


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KnownBlobs:
    def chown(path: Path, _user: int, _group: int) -> None:
        assert path.exists()

    monkeypatch.setattr(os, "chown", chown)
    return KnownBlobs(tmp_path / "blobs")


def test_known_blobs_of_a_runner_that_lost_its_record_are_learned_again(known: KnownBlobs) -> None:
    assert not known.knows("a")
    for image in ("a", "b"):
        known.make()
        (known.folder / BLOBS_FILE).write_text("record")
        known.learned(image)
    assert known.knows("a") and known.knows("b") and not known.knows("c")
    (known.folder / BLOBS_FILE).unlink()
    assert not known.knows("a")
    known.make()
    (known.folder / BLOBS_FILE).write_text("anew")
    known.learned("b")
    assert known.knows("b") and not known.knows("a")


def test_known_blobs_take_the_place_of_what_a_store_has(known: KnownBlobs, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.blobs.mkdir(parents=True)
    known.hand_to(store)
    assert list(store.blobs.iterdir()) == []
    known.make()
    (known.folder / BLOBS_FILE).write_text("record")
    (store.blobs / BLOBS_FILE).write_text("empty")
    known.hand_to(store)
    assert (store.blobs / BLOBS_FILE).read_text() == "record"
