"""Which build caches of an app stay: the ones that a build wrote lately, and together no more than a limit.

A cache is one folder below an app's ``caches``: what ``RUN --mount=type=cache`` names by its id, or the first part of its
target. Its files were written by a tenant's code: no link is followed, and of its times only the inode's change counts, which
a program can't set.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_MOST_ENTRIES = 500_000
_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Cache:
    """``bytes`` on disk; ``changed_at``: seconds since the epoch of the newest change in it."""

    path: Path
    bytes: int
    changed_at: float


def caches_in(folder: Path) -> list[Cache]:
    try:
        with os.scandir(folder) as entries:
            return [_measured(Path(entry.path)) for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _measured(path: Path) -> Cache:
    """One with too many files, or nested too deep to be read, counts as larger than any limit."""
    total, newest, seen = 0, path.stat().st_ctime, 0
    todo = [str(path)]
    while todo:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    at, seen = entry.stat(follow_symlinks=False), seen + 1
                    total, newest = total + at.st_blocks * _BLOCK, max(newest, at.st_ctime)
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
        except OSError:
            return Cache(path, 1 << 62, newest)
        if seen > _MOST_ENTRIES:
            return Cache(path, 1 << 62, newest)
    return Cache(path, total, newest)


@dataclass(frozen=True, slots=True)
class Limits:
    """For all caches of one app together."""

    bytes: int
    seconds: float


def superfluous(caches: Sequence[Cache], now: float, limits: Limits) -> list[Cache]:
    """The caches to remove: unchanged for too long, and then the least recently changed until the rest fits."""
    gone = [c for c in caches if now - c.changed_at > limits.seconds]
    kept = sorted((c for c in caches if c not in gone), key=lambda c: c.changed_at)
    total = sum(c.bytes for c in kept)
    for cache in kept:
        if total <= limits.bytes:
            break
        total -= cache.bytes
        gone.append(cache)
    return gone
