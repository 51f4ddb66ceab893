"""What a git that takes in a stranger's pack may use: a few kilobytes of deltas can describe terabytes."""

from __future__ import annotations

MEMORY_BYTES = 1024**3
"""Of each process. Honest packs stay under it: git makes no delta of a file over 512 MiB and streams those."""


def bounded(argv: tuple[str, ...], *, file_bytes: int | None = None) -> tuple[str, ...]:
    """The same program under limits that its children inherit; mapped packs don't count as memory."""
    size = () if file_bytes is None else (f"--fsize={file_bytes}",)
    return ("prlimit", *size, f"--data={MEMORY_BYTES}", "--core=0", *argv)
