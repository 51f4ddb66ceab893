"""Base images' stores go when nothing stands on them, and not before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

from funai.runner.sandbox.bases import JUST_NOW, BaseStores
from funai.runner.settings import RunnerSettings


def _base(folder: Path, age: float) -> Path:
    folder.mkdir(parents=True)
    record = folder / "record.json"
    record.write_text("{}")
    used_at = record.stat().st_mtime - age
    os.utime(record, (used_at, used_at))
    return folder


async def test_evict_of_a_base_that_a_build_or_push_stands_on_leaves_it(tmp_path: Path) -> None:
    bases = BaseStores(cast("RunnerSettings", None), tmp_path)
    base = _base(tmp_path / "abc-1", 2 * JUST_NOW)
    with bases.standing([base]):
        with bases.standing([base, tmp_path / "other"]):
            pass
        assert not await bases.evict(base) and base.exists()
    assert await bases.evict(base) and not base.exists()


async def test_evict_of_a_base_that_was_just_used_leaves_it(tmp_path: Path) -> None:
    bases = BaseStores(cast("RunnerSettings", None), tmp_path)
    base = _base(tmp_path / "abc-1", 0)
    assert not await bases.evict(base) and base.exists()
