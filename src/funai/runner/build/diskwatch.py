"""Watches what a build writes to disk: a filesystem shared with others has no quota of its own.

The builder's containers of the job are found in the engine's store by their control group, their writable layers are
measured, and what an earlier step wrote stays counted after it became a layer of the image.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

MIN_PAUSE, PAUSE_PER_SCAN, MAX_PAUSE = 0.5, 10.0, 5.0
"""Seconds between scans: ten times what the last scan took, but no more than a disk fills in."""
ENTRY_BYTES = 4096
"""What a file or folder counts at least: empty ones take inodes, which run out too."""


class DiskWatch:
    """``run`` returns when the build is over its limit; otherwise it watches until cancelled."""

    def __init__(self, storage: Path, job: Path, cgroup: str, limit: int, steps: Callable[[], set[str]]) -> None:
        self._storage, self._job, self._cgroup, self._limit, self._steps = storage, job, cgroup, limit, steps
        self._largest: dict[Path, int] = {}
        self._pulled: dict[int, int] = {}
        self.pulls = False
        """Whether the program that runs now pulls a base image."""
        self.child: int | None = None
        """Its session (process group)."""

    async def run(self) -> None:
        while True:
            began = time.monotonic()
            if await asyncio.to_thread(self.used) > self._limit:
                return
            await asyncio.sleep(min(MAX_PAUSE, max(MIN_PAUSE, PAUSE_PER_SCAN * (time.monotonic() - began))))

    def used(self) -> int:
        """Bytes written so far by all steps, or by all pulls of base images when that is more."""
        child = self.child
        if self.pulls and child is not None:
            self._pulled[child] = max(written_by(child), self._pulled.get(child, 0))
        for folder in [*_podman_layers(self._storage, self._cgroup), *_docker_layers(self._storage, self._steps())]:
            self._largest[folder] = max(tree_bytes(folder, self._limit), self._largest.get(folder, 0))
        return max(sum(self._largest.values()) + tree_bytes(self._job, self._limit), sum(self._pulled.values()))


def written_by(session: int) -> int:
    """Bytes that a session's processes, and those of their children that have ended, sent to disks so far.

    Layers of a pulled image belong to no image until they are whole, so what is written is counted where it is done.
    """
    total = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):
            if int((entry / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                fields = dict(line.split(": ") for line in (entry / "io").read_text().splitlines())
                total += int(fields["write_bytes"])
    return total


def working_containers(storage: Path, cgroup: str) -> list[str]:
    """Ids of the builder's containers that belong to this control group.

    Podman's builder writes each one's options, ``CgroupParent`` among them, beside it in the store.
    """
    needle = f'"CgroupParent":"{cgroup}'.encode()
    out: list[str] = []
    for file in storage.glob("*-containers/*/userdata/buildah.json"):
        try:
            if cgroup and needle in file.read_bytes():
                out.append(file.parent.parent.name)
        except OSError:
            continue
    return out


def _podman_layers(storage: Path, cgroup: str) -> list[Path]:
    """Writable layers of the builder's containers in Podman's store."""
    ids = set(working_containers(storage, cgroup))
    if not ids:
        return []
    try:
        listed: Any = json.loads((storage / "overlay-containers" / "containers.json").read_text())
    except (OSError, ValueError):
        return []
    return [storage / "overlay" / str(c["layer"]) / "diff" for c in listed if c.get("id") in ids and c.get("layer")]


def _docker_layers(storage: Path, ids: set[str]) -> list[Path]:
    """Writable layers in Docker's store of the containers whose control groups are the build's."""
    out: list[Path] = []
    for container in ids:
        try:
            mount = (storage / "image" / "overlay2" / "layerdb" / "mounts" / container / "mount-id").read_text().strip()
        except OSError:
            continue
        out.append(storage / "overlay2" / mount / "diff")
    return out


def tree_bytes(folder: Path, stop_at: int) -> int:
    """Bytes on disk below ``folder``; counting ends soon after ``stop_at``. Sparse files count what they hold.

    Folders nested deeper than a path can name hold no honest build's files: they count as too much.
    """
    total, todo = 0, [str(folder)]
    while todo and total <= stop_at:
        try:
            with os.scandir(todo.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        todo.append(entry.path)
                        total += ENTRY_BYTES
                    else:
                        total += max(ENTRY_BYTES, entry.stat(follow_symlinks=False).st_blocks * 512)
                    if total > stop_at:
                        break
        except OSError as e:
            if e.errno == errno.ENAMETOOLONG:
                return stop_at + 1
    return total
