"""Ends an app's own process behind a package manager or shell.

``npm start`` runs a shell that runs the app, and neither lets the app finish on a signal: the shell ends at once, npm with it,
the container's init after it, and the app is killed in the middle of its work. So the app's process is asked itself, and the
container is stopped when that has ended.
"""

from __future__ import annotations

import asyncio
import os
import posixpath
import signal
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SHELLS = frozenset({"sh", "bash", "dash", "ash"})
PACKAGE_MANAGERS = frozenset({"npm", "npx", "pnpm", "yarn"})
_SCRIPTS = frozenset({"npm-cli.js", "npx-cli.js", "pnpm.cjs", "yarn.js", "yarn.cjs"})
DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Process:
    """``started`` tells two processes apart that had the same pid one after the other."""

    pid: int
    started: str
    argv: tuple[str, ...]


def is_wrapper(argv: Sequence[str]) -> bool:
    """Whether a process with this command line only waits for another: ``sh -c``, or a package manager's ``run``."""
    words = [*(argv[0].split() if argv else ()), *argv[1:]]  # npm sets its title: one word "npm start"
    if not words:
        return False
    program = posixpath.basename(words[0])
    if program in SHELLS:
        return len(words) > 1 and words[1].startswith("-") and words[1].endswith("c")
    if program in PACKAGE_MANAGERS:
        return True
    script = posixpath.basename(words[1]) if program == "node" and len(words) > 1 else ""
    return script in _SCRIPTS or (script in PACKAGE_MANAGERS)


def read(pid: int) -> Process | None:
    """The process now; None when it is gone."""
    try:
        started = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, IndexError):
        return None
    return Process(pid, started, tuple(w.decode("utf-8", "replace") for w in line.split(b"\0") if w))


def children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in task.read_text().split()]
    return found


def wrapped(init: int) -> Process | None:
    """The process that the wrappers below a container's first process wait for; None when there are none, or several."""
    passed, pid = False, init
    for _ in range(DEEPEST):
        below = children(pid)
        process = read(below[0]) if len(below) == 1 else None
        if process is None:
            return None
        if not is_wrapper(process.argv):
            return process if passed else None
        passed, pid = True, process.pid
    return None


async def ask_to_end(init: int, seconds: float) -> None:
    """Send SIGTERM to the process behind the wrappers below ``init``, and wait so long at most for its end."""
    process = await asyncio.to_thread(wrapped, init) if init else None
    if process is None:
        return
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return
    try:
        if read(process.pid) == process:
            with suppress(OSError):
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                await _ended(handle, seconds)
    finally:
        os.close(handle)


async def _ended(handle: int, seconds: float) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(handle, ended.set)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await ended.wait()
    finally:
        loop.remove_reader(handle)
