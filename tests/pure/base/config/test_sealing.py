"""The key file at its first start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from funai.base.config.sealing import Sealer
from funai.contracts.errors import ConfigError


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "seal.key"
    sealed = Sealer.from_file(file, create=True).seal({"A": "1"})
    assert Sealer.from_file(file, create=True).open(sealed) == {"A": "1"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [f.name for f in file.parent.iterdir()] == ["seal.key"]


def test_two_that_start_at_once_have_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "seal.key"
    sealed = Sealer.from_file(file, create=True).seal({"A": "1"})
    monkeypatch.setattr(Path, "exists", lambda _: False)  # what the second saw a moment before
    assert Sealer.from_file(file, create=True).open(sealed) == {"A": "1"}


def test_a_start_that_dies_half_way_leaves_no_half_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="no space left"):
        Sealer.from_file(tmp_path / "seal.key", create=True)
    assert list(tmp_path.iterdir()) == []
