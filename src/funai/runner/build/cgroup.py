"""A control group of its own for each build: bounds its processes and memory, counts what it did, kills all of it.

Works with cgroup v1 (one folder per controller), v2 (one folder) and v1+v2 hybrids. The engine puts RUN steps into a
leaf below the build's group and removes the leaf after each step; the limits stand on the group above, so they last.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
LEAF = "run"


@dataclass(frozen=True, slots=True)
class Usage:
    """What a build's group went through so far."""

    oom_kills: int = 0
    pids_refused: int = 0
    memory_full: bool = False
    """The memory limit was reached at least once; file caches alone can do that."""


def group_names(parent: str, prefix: str, root: Path = ROOT) -> set[str]:
    """Names of the groups under ``parent`` that begin with ``prefix``."""
    return {p.name for h in BuildGroup(parent, "", root).hierarchies() for p in (h / parent).glob(f"{prefix}*") if p.is_dir()}


class BuildGroup:
    """``/parent/name`` in every mounted hierarchy. ``available`` is False where this process may not make one."""

    def __init__(self, parent: str, name: str, root: Path = ROOT) -> None:
        self.parent, self.name, self.root = parent, name, root
        self.available = False

    @property
    def engine_path(self) -> str:
        """For the engine's ``--cgroup-parent``; empty when there is no group."""
        return f"/{self.parent}/{self.name}/{LEAF}" if self.available else ""

    def hierarchies(self) -> list[Path]:
        if (self.root / "cgroup.controllers").exists():
            return [self.root]
        return [p for p in sorted(self.root.iterdir()) if p.is_dir() and not p.is_symlink()] if self.root.is_dir() else []

    def steps(self) -> set[str]:
        """Names of the groups that the engine made below the leaf: with Docker, its containers' ids."""
        out: set[str] = set()
        for folder in self._folders():
            with suppress(OSError):
                out.update(p.name for p in (folder / LEAF).iterdir() if p.is_dir())
        return out

    def _folders(self) -> Iterator[Path]:
        for hierarchy in self.hierarchies():
            yield hierarchy / self.parent / self.name

    @property
    def folders(self) -> tuple[Path, ...]:
        """The group's own folder in each hierarchy, for a process that is put into it; none when there is no group."""
        return tuple(self._folders()) if self.available else ()

    def create(self, *, memory_bytes: int, pids: int, cpus: float, leaf: bool = False) -> None:
        """Make the group with its limits; without the right to, ``available`` stays False and the engine's own flags count.

        ``leaf``: processes live in the group itself, which therefore hands no controller further down.
        """
        if not self.parent:
            return
        try:
            for folder in self._folders():
                _enable_controllers(folder.parent.parent)
                folder.parent.mkdir(exist_ok=True)
                _enable_controllers(folder.parent)
                folder.mkdir(exist_ok=True)
                _inherit_cpuset(folder)
                for name, value in limits(memory_bytes=memory_bytes, pids=pids, cpus=cpus).items():
                    if (folder / name).exists():
                        (folder / name).write_text(value)
                if leaf:
                    folder.chmod(0o755)  # what is inside reads its limits, whatever this process's umask
                else:
                    _enable_controllers(folder)
            self.available = True
        except OSError:
            self.remove()

    def usage(self) -> Usage:
        oom, refused = 0, 0
        for folder in self._folders():
            # v1 counts both where the step's process lives, in the leaf; v2 also in the groups above it.
            for group in _groups(folder):
                oom = max(oom, _field(group / "memory.oom_control", "oom_kill"))
                refused = max(refused, _field(group / "pids.events", "max"))
            oom = max(oom, _field(folder / "memory.events", "oom_kill"))
        return Usage(oom, refused, any(self._memory_full(folder) for folder in self._folders()))

    @staticmethod
    def _memory_full(folder: Path) -> bool:
        # v1's failure counters stand still on newer kernels; its high-water mark doesn't.
        if (folder / "memory.max_usage_in_bytes").exists():
            return _number(folder / "memory.max_usage_in_bytes") >= _number(folder / "memory.limit_in_bytes")
        return _field(folder / "memory.events", "max") > 0

    def pids(self) -> set[int]:
        out: set[int] = set()
        for folder in self._folders():
            for group in _groups(folder):
                with suppress(OSError, ValueError):
                    out.update(int(p) for p in (group / "cgroup.procs").read_text().split())
        return out

    def kill(self, seconds: float = 2.0) -> bool:
        """SIGKILL everything in the group until nothing is left; False when something was after ``seconds``."""
        end = time.monotonic() + seconds
        while True:
            self._stop_forking()
            self._thaw()
            for folder in self._folders():
                with suppress(OSError):
                    (folder / "cgroup.kill").write_text("1")
            left = self.pids()
            if not left:
                return True
            for pid in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > end:
                return False
            time.sleep(0.01)

    def _stop_forking(self) -> None:
        """A fork bomb outruns a killer: no new process may come while it is being killed."""
        for folder in self._folders():
            with suppress(OSError):
                if (folder / "pids.max").exists():
                    (folder / "pids.max").write_text("0")

    def _thaw(self) -> None:
        """A frozen process of cgroup v1 dies when it is thawed, and not before."""
        for folder in self._folders():
            for group in _groups(folder):
                for name, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                    with suppress(OSError):
                        if (group / name).exists():
                            (group / name).write_text(value)

    def remove(self, seconds: float = 0) -> bool:
        """Remove the folders; False when something in one of them was still there after ``seconds``.

        Docker's daemon lets go of a step's group a moment after the step has ended, however it ended.
        """
        end = time.monotonic() + seconds
        while True:
            for folder in self._folders():
                for group in reversed(_groups(folder)):
                    with suppress(OSError):
                        group.rmdir()
            if not any(folder.exists() for folder in self._folders()):
                return True
            if time.monotonic() > end:
                return False
            time.sleep(0.02)


def _groups(folder: Path) -> list[Path]:
    """``folder`` and every group below it, parents first.

    The engine removes a step's group at any moment, so one that vanishes while we look is simply not there:
    ``os.walk`` passes over it, where ``Path.rglob`` raises.
    """
    return [Path(path) for path, _, _ in os.walk(folder)]


def limits(*, memory_bytes: int, pids: int, cpus: float) -> dict[str, str]:
    """The control files of both versions, in the order they must be written; a hierarchy has some of them."""
    period = 100_000
    return {
        "pids.max": str(pids),
        "memory.limit_in_bytes": str(memory_bytes),
        "memory.memsw.limit_in_bytes": str(memory_bytes),
        "memory.max": str(memory_bytes),
        "memory.swap.max": "0",
        "cpu.cfs_period_us": str(period),
        "cpu.cfs_quota_us": str(int(cpus * period)),
        "cpu.max": f"{int(cpus * period)} {period}",
        "cpu.shares": "256",
        "cpu.weight": "25",
    }


def _enable_controllers(folder: Path) -> None:
    """v2 hands a controller to children only on request."""
    control = folder / "cgroup.subtree_control"
    if not control.exists():
        return
    available = (folder / "cgroup.controllers").read_text().split()
    for name in ("cpu", "memory", "pids"):
        if name in available:
            with suppress(OSError):
                control.write_text(f"+{name}")


def _inherit_cpuset(folder: Path) -> None:
    """A v1 cpuset without CPUs takes no process."""
    for level in (folder.parent, folder):
        for name in ("cpuset.cpus", "cpuset.mems"):
            if (level / name).exists() and not (level / name).read_text().strip():
                (level / name).write_text((level.parent / name).read_text())


def _number(file: Path) -> int:
    with suppress(OSError, ValueError):
        return int(file.read_text())
    return 0


def _field(file: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in file.read_text().splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == name:
                return int(words[1])
    return 0
