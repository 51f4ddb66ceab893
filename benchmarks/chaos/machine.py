"""`funai up` as the platform of the rounds: its parts are one process with all services, HAProxy, registry and engine API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.chaos.disks import keep_logs, scratch, small_disk
from benchmarks.chaos.faults import Part
from benchmarks.chaos.processes import processes
from funai.contracts.reasons import FailureCode
from funai.standalone.parts.engine import EngineChoice
from tests.e2e.up.world import Platform

DISK = "1500m"
"""The data dir's own disk, so that filling it harms nothing else."""


@contextmanager
def machine(engine: EngineChoice, logs: Path | None) -> Iterator[tuple[Platform, Sequence[Part]]]:
    """A platform with its data on a small disk of its own, and its parts."""
    with scratch() as folder:
        disk = folder / "disk"
        platform = Platform(disk / "data", engine)
        with small_disk(disk, DISK) as own:
            try:
                platform.start()
                yield platform, parts_of(platform, disk if own else None)
            finally:
                keep_logs(folder, logs)
                platform.destroy()


def parts_of(platform: Platform, disk: Path | None) -> list[Part]:
    def main_process() -> list[int]:
        return [platform.process.pid] if platform.process and platform.running else []

    def daemon(name: str) -> list[int]:
        with suppress(OSError, KeyError, ValueError):
            return [platform.pid_of(name)]
        return []

    def haproxy() -> list[int]:
        return processes("haproxy", str(platform.data_dir))

    def revive() -> None:
        if platform.process:
            platform.process.wait(10)
        platform.start()

    parts = [
        Part("up", main_process, revive=revive, port=platform.ports.deploy),
        Part("haproxy", haproxy, serves=True, allowed=frozenset({FailureCode.GATEWAY_FAILED})),
        Part("registry", lambda: daemon("registry"), port=platform.ports.registry),
    ]
    if platform.engine.kind == "podman":
        parts.append(Part("engine", lambda: daemon("engine"), allowed=frozenset({FailureCode.ENGINE_FAILED})))
    return [*parts, Part("disk", list[int], disk=disk)] if disk else parts
