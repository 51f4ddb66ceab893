"""`funai up` as the platform of the rounds: its parts are one process with all services, HAProxy, registry and engine API."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.chaos.faults import Part
from funai.standalone.parts.engine import EngineChoice
from tests.e2e.up.world import Platform

DISK = "1500m"
"""The data dir's own disk, so that filling it harms nothing else."""


@contextmanager
def machine(engine: EngineChoice) -> Iterator[tuple[Platform, Sequence[Part]]]:
    """A platform with its data on a small disk of its own, and its parts."""
    folder = Path(tempfile.mkdtemp(prefix="funai-chaos-"))
    disk = folder / "disk"
    disk.mkdir()
    own = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(disk)], check=False).returncode == 0
    platform = Platform(disk / "data", engine)
    try:
        platform.start()
        yield platform, parts_of(platform, disk if own else None)
    finally:
        platform.destroy()
        if own:
            subprocess.run(["umount", "--lazy", str(disk)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def parts_of(platform: Platform, disk: Path | None) -> list[Part]:
    def main_process() -> list[int]:
        return [platform.process.pid] if platform.process and platform.running else []

    def daemon(name: str) -> list[int]:
        with suppress(OSError, KeyError, ValueError):
            return [platform.pid_of(name)]
        return []

    def haproxy() -> list[int]:
        return _processes("haproxy", str(platform.data_dir))

    def revive() -> None:
        if platform.process:
            platform.process.wait(10)
        platform.start()

    parts = [
        Part("up", main_process, revive=revive, port=platform.ports.deploy),
        Part("haproxy", haproxy, serves=True),
        Part("registry", lambda: daemon("registry"), port=platform.ports.registry),
    ]
    if platform.engine.kind == "podman":
        parts.append(Part("engine", lambda: daemon("engine")))
    return [*parts, Part("disk", list[int], disk=disk)] if disk else parts


def _processes(program: str, words: str) -> list[int]:
    found: list[int] = []
    for process in Path("/proc").iterdir():
        with suppress(OSError):
            if process.name.isdigit():
                line = (process / "cmdline").read_bytes()
                if line.split(b"\0")[0].endswith(program.encode()) and words.encode() in line:
                    found.append(int(process.name))
    return sorted(found)
