"""The probe container: a few kilobytes that need no registry, run with limits, and what its output says. Pure.

Its image is an empty tree whose ``/usr`` is the host's, mounted read-only; it prints the limits that its cgroup shows.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence
from enum import StrEnum

MEMORY_BYTES = 64 * 1024 * 1024
PIDS = 37
CPUS = 0.5

_CGROUP = "/sys/fs/cgroup"
_MEMORY_FILES = (f"{_CGROUP}/memory.max", f"{_CGROUP}/memory/memory.limit_in_bytes")
_PIDS_FILES = (f"{_CGROUP}/pids.max", f"{_CGROUP}/pids/pids.max")
_CPU_V2 = f"{_CGROUP}/cpu.max"
_CPU_V1 = tuple(f"{_CGROUP}/{folder}/cpu.cfs_quota_us" for folder in ("cpu", "cpu,cpuacct"))


class Limit(StrEnum):
    MEMORY = "memory"
    CPUS = "cpus"
    PIDS = "pids"


def image_tar(links: Mapping[str, str]) -> bytes:
    """The probe image's tree. ``links`` are the host's top-level symlinks (``{"bin": "usr/bin", …}``)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("usr", "proc", "sys", "dev", "tmp", "etc", "run"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, target in sorted(links.items()):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
    return out.getvalue()


def run_words(image: str, name: str, limits: Sequence[Limit]) -> list[str]:
    """The engine's words that start the probe, detached, in a sleep; it is asked with ``ask_words`` and then removed."""
    flags = {
        Limit.MEMORY: f"--memory={MEMORY_BYTES}",
        Limit.CPUS: f"--cpus={CPUS}",
        Limit.PIDS: f"--pids-limit={PIDS}",
    }
    return [
        "run",
        "--detach",
        "--rm",
        "--name",
        name,
        "--pull=never",
        "--stop-signal=KILL",
        "--security-opt",
        "label=disable",
        *(flags[limit] for limit in limits),
        "--volume",
        "/usr:/usr:ro",
        image,
        "/usr/bin/sleep",
        "30",
    ]


def ask_words(name: str) -> list[str]:
    """Prints ``file:value`` for every cgroup file that exists in the probe; its exit status means nothing."""
    return ["exec", name, "/usr/bin/grep", "-sH", "", *_MEMORY_FILES, *_PIDS_FILES, _CPU_V2, *_CPU_V1]


def limits_seen(output: str) -> tuple[Limit, ...]:
    """Which limits are in force, from what ``ask_words`` printed."""
    values = dict(line.split(":", 1) for line in output.splitlines() if ":" in line)
    found: list[Limit] = []
    if any(values.get(f) == str(MEMORY_BYTES) for f in _MEMORY_FILES):
        found.append(Limit.MEMORY)
    if _has_cpu_quota(values):
        found.append(Limit.CPUS)
    if any(values.get(f) == str(PIDS) for f in _PIDS_FILES):
        found.append(Limit.PIDS)
    return tuple(found)


def _has_cpu_quota(values: Mapping[str, str]) -> bool:
    if any(values.get(f, "-1") not in ("-1", "") for f in _CPU_V1):
        return True
    return values.get(_CPU_V2, "max").split()[:1] not in (["max"], [])
