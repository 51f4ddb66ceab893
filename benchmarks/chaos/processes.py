"""Processes of the machine, found by what they run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def processes(program: str, words: str) -> list[int]:
    """Pids of this program with ``words`` in its command line."""
    found: list[int] = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit():
                line = (process / "cmdline").read_bytes()
                if line.split(b"\0")[0].endswith(program.encode()) and words.encode() in line:
                    found.append(int(process.name))
    return sorted(found)


def children_of(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
