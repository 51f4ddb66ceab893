"""A file that is written some moments after a change."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from funai.gateway import delayed_file
from funai.gateway.delayed_file import DelayedFile
from tests.parts.waiting import eventually


@pytest.fixture
def held() -> dict[str, int]:
    return {"n": 0}


def of(path: Path, held: dict[str, int]) -> DelayedFile:
    def snapshot() -> Callable[[], str]:
        n = held["n"]
        return lambda: str(n)

    return DelayedFile(path, snapshot)


async def test_flush_writes_what_changed_and_nothing_twice(tmp_path: Path, held: dict[str, int]) -> None:
    file = of(tmp_path / "x", held)
    await file.flush()
    assert not file.path.exists()
    file.change()
    held["n"] = 2
    await file.flush()
    assert file.path.read_text() == "2"
    held["n"] = 3
    await file.flush()
    assert file.path.read_text() == "2"


async def test_a_write_that_failed_is_tried_again_without_another_change(
    tmp_path: Path, held: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delayed_file, "DELAY", 0.0)
    monkeypatch.setattr(delayed_file, "RETRY", 0.0)
    tries: list[str] = []

    def write(path: Path, text: str) -> None:
        tries.append(text)
        if len(tries) < 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        path.write_text(text)

    monkeypatch.setattr(delayed_file, "write_whole", write)
    file = of(tmp_path / "x", held)
    keeping = asyncio.create_task(file.keep())
    file.change()
    await eventually(file.path.exists, what="it is written at last")
    keeping.cancel()
    assert tries == ["0", "0", "0"]
