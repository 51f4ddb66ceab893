"""What can happen to a part. Each fault is undone by itself when its context ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from funai.contracts.reasons import FailureCode


class Fault(StrEnum):
    KILL = "kill"
    FREEZE = "freeze"
    SLOW = "slow"
    CUT = "cut"
    FULL = "full"


@dataclass(frozen=True)
class Part:
    """A part of the platform. ``pids`` are its processes now; ``revive`` brings it back where nothing else does; ``port`` is
    where it is asked. ``serves`` says that visitors' requests go through it. ``allowed`` are the codes with which a job may
    fail that meets its fault.
    """

    name: str
    pids: Callable[[], Sequence[int]]
    revive: Callable[[], None] | None = None
    port: int = 0
    disk: Path | None = None
    serves: bool = False
    allowed: frozenset[FailureCode] = frozenset()

    @property
    def faults(self) -> list[Fault]:
        if self.disk:
            return [Fault.FULL]
        return [Fault.KILL, Fault.FREEZE, Fault.SLOW, *([Fault.CUT] if self.port else [])]


def send(pids: Sequence[int], sig: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)


@asynccontextmanager
async def inflicted(part: Part, fault: Fault) -> AsyncIterator[None]:
    """Inside, the part suffers. Afterwards it can work again, and was brought back if nothing else does that."""
    pids = list(part.pids())
    if fault is Fault.FULL:
        assert part.disk
        async with _full(part.disk):
            yield
    elif fault is Fault.KILL:
        send(pids, signal.SIGKILL)
        yield
    elif fault is Fault.CUT:
        await asyncio.to_thread(_cut, part.port)
        yield
    else:
        async with _stopped(pids, flicker=fault is Fault.SLOW):
            yield
    if part.revive and fault in (Fault.KILL, Fault.FULL):
        await asyncio.to_thread(part.revive)


@asynccontextmanager
async def _stopped(pids: Sequence[int], *, flicker: bool) -> AsyncIterator[None]:
    """Frozen, or running for a fifth of the time."""

    async def flickering() -> None:
        while True:
            send(pids, signal.SIGSTOP)
            await asyncio.sleep(0.08)
            send(pids, signal.SIGCONT)
            await asyncio.sleep(0.02)

    send(pids, signal.SIGSTOP)
    task = asyncio.create_task(flickering()) if flicker else None
    try:
        yield
    finally:
        if task:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        send(pids, signal.SIGCONT)


def _cut(port: int) -> None:
    """Every TCP connection of this port ends at once (needs root and a kernel that can)."""
    for side in ("sport", "dport"):
        subprocess.run(["ss", "-K", side, "=", f":{port}"], capture_output=True, check=False)


@asynccontextmanager
async def _full(folder: Path) -> AsyncIterator[None]:
    filler = folder / "filler"
    try:
        await asyncio.to_thread(_fill, filler)
        yield
    finally:
        filler.unlink(missing_ok=True)


def _fill(file: Path) -> None:
    block = bytes(1 << 20)
    with contextlib.suppress(OSError), file.open("wb", buffering=0) as out:
        while True:
            if out.write(block) < len(block):
                return
