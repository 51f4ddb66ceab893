"""Engine storage that outlives a session, one owner at a time.

Filling a container storage with the base image takes seconds, so sessions reuse it: a session takes the first slot
nobody holds (``flock``, so that a killed session lets go), cleans what an earlier life left in it, and uses it alone.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from funai.standalone.parts.engine import state_dir
from tests.parts.waiting import wait_until

SLOTS = 16


@dataclass(frozen=True)
class Slot:
    """``number`` tells apart what is shared on the host (subnets, interface names)."""

    number: int
    folder: Path


@contextmanager
def take_slot(kind: str, *, slots: int = SLOTS, wait_seconds: float = 300) -> Iterator[Slot]:
    """The first free slot of this kind; waits when all are held."""
    base = state_dir().parent / "test-engines"
    base.mkdir(parents=True, exist_ok=True)
    number, handle = wait_until(lambda: _first_free(base, kind, slots), seconds=wait_seconds, what=f"a free {kind} slot")
    try:
        folder = base / f"{kind}-{number}"
        folder.mkdir(exist_ok=True)
        yield Slot(number, folder)
    finally:
        os.close(handle)


def release_mount(path: Path) -> None:
    """Engines bind their storage onto itself and leave that mount behind; nobody could remove the folder then."""
    subprocess.run(["umount", str(path)], check=False, capture_output=True)


def _first_free(base: Path, kind: str, slots: int) -> tuple[int, int] | None:
    for number in range(slots):
        handle = os.open(base / f"{kind}-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
        else:
            return number, handle
    return None
