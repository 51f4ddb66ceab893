"""Private configuration files for Podman, as text: computed here, tried by ``engine``. Pure.

``CONTAINERS_CONF`` replaces the machine's own files instead of adding to them, so a rung of the ladder holds no more
than is needed, and the first rung is always "the machine's own".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_NOFILE = 65_536
"""More than this only costs programs that walk all possible descriptors."""
MAX_NPROC = 32_768
"""Podman lowers its own hard limit to the kernel's ``pid_max``, of which this is the least usual value."""
UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class HostFacts:
    """Hard limits of this process (``-1``: none) and which OCI runtimes and network backends are installed."""

    nofile_hard: int
    nproc_hard: int
    runtimes: tuple[str, ...]
    netavark: bool


@dataclass(frozen=True, slots=True)
class Rung:
    """One configuration to try. ``conf`` is None for the machine's own."""

    why: str
    conf: str | None


def ladder(facts: HostFacts) -> list[Rung]:
    """Configurations in the order to try: the least private first.

    Each corrects one thing seen in the field: container start that raises its own limits above what this process may
    (virtual machines without CAP_SYS_RESOURCE), a cgroup manager that wants systemd, an ``crun`` that refuses hybrid
    cgroups.
    """
    ulimits = _containers(facts)
    rungs = [Rung("the machine's own configuration", None)]
    rungs.append(Rung("limits no higher than this process's own", _toml(facts, ulimits, {})))
    cgroupfs = {"cgroup_manager": "cgroupfs", "events_logger": "file"}
    rungs.append(Rung("cgroups without systemd", _toml(facts, {}, cgroupfs)))
    rungs.append(Rung("cgroups without systemd, own limits", _toml(facts, ulimits, cgroupfs)))
    if "runc" in facts.runtimes:
        runc = {"runtime": "runc", **cgroupfs}
        rungs.append(Rung("runc, cgroups without systemd", _toml(facts, {}, runc)))
        rungs.append(Rung("runc, cgroups without systemd, own limits", _toml(facts, ulimits, runc)))
    return rungs


def registries_conf(insecure: Iterable[str], machine: str = "") -> str:
    """A ``registries.conf`` (version 2) that speaks plain HTTP to these ``host:port`` and keeps the machine's entries.

    ``machine`` is the text of the machine's own file, or empty; ``CONTAINERS_REGISTRIES_CONF`` would otherwise hide the
    mirrors an operator set there. A version 1 file can't be extended and is left out.
    """
    kept = "" if _is_version_1(machine) else machine.rstrip() + "\n"
    if "unqualified-search-registries" not in kept:
        kept = 'unqualified-search-registries = ["docker.io"]\n' + kept
    entries = [f"\n[[registry]]\nlocation = {json.dumps(_location(a))}\ninsecure = true\n" for a in insecure]
    return kept + "".join(entries)


def mirror(registry: str, where: str) -> str:
    """Lines of ``registries.conf``: ``where`` is asked first for what ``registry`` has."""
    return f"\n[[registry]]\nlocation = {json.dumps(registry)}\n[[registry.mirror]]\nlocation = {json.dumps(where)}\n"


def _location(address: str) -> str:
    return urlsplit(address).netloc if "://" in address else address


def _is_version_1(text: str) -> bool:
    return any(line.strip().startswith("[registries") for line in text.splitlines())


def _containers(facts: HostFacts) -> dict[str, Sequence[str]]:
    nofile = MAX_NOFILE if facts.nofile_hard == UNLIMITED else min(facts.nofile_hard, MAX_NOFILE)
    nproc = MAX_NPROC if facts.nproc_hard == UNLIMITED else min(facts.nproc_hard, MAX_NPROC)
    return {"default_ulimits": [f"nofile={nofile}:{nofile}", f"nproc={nproc}:{nproc}"]}


def _toml(facts: HostFacts, containers: dict[str, Sequence[str]], engine: dict[str, str]) -> str:
    network = {"network_backend": "netavark"} if facts.netavark else {}
    return render({"containers": containers, "engine": engine, "network": network})


def render(sections: Mapping[str, Mapping[str, object]]) -> str:
    """Sections of plain values (strings, numbers, booleans, lists of strings) as TOML; empty sections are left out."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entries.items())
        for name, entries in sections.items()
        if entries
    )
