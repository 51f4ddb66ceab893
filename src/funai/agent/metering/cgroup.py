"""Processor time and memory of a container from its control group, by a process in it. No call of the engine's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROC, ROOT = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Spent:
    cpu_ms: int
    """Since the group was made."""
    memory: int
    """Bytes, without file pages that the kernel would give up first."""


def spent(pid: int, proc: Path = PROC, root: Path = ROOT) -> Spent | None:
    """None when the process is gone, or has no group of its own on this machine."""
    try:
        groups = _groups((proc / str(pid) / "cgroup").read_text())
        if (own := groups.get("", "/")) != "/":
            return _unified(root / own.lstrip("/"))
        cpu, memory = groups.get("cpuacct", "/"), groups.get("memory", "/")
        if "/" in (cpu, memory):
            return None
        return _legacy(root / "cpuacct" / cpu.lstrip("/"), root / "memory" / memory.lstrip("/"))
    except (OSError, ValueError, KeyError):
        return None


def _groups(text: str) -> dict[str, str]:
    """Controller → path in its hierarchy; the unified hierarchy has no name."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            found[controller] = path
    return found


def _unified(group: Path) -> Spent:
    cpu = _table(group / "cpu.stat")["usage_usec"] // 1000
    held = int((group / "memory.current").read_text()) - _table(group / "memory.stat").get("inactive_file", 0)
    return Spent(cpu, max(0, held))


def _legacy(cpu: Path, memory: Path) -> Spent:
    held = int((memory / "memory.usage_in_bytes").read_text()) - _table(memory / "memory.stat").get("total_inactive_file", 0)
    return Spent(int((cpu / "cpuacct.usage").read_text()) // 1_000_000, max(0, held))


def _table(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in file.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}
