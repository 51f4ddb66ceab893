"""What the process of a build sees, as values: the command that enters the wall and runs another one inside. Pure."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from funai.base.process.proc import Command

LAUNCH = Path(__file__).with_name("launch.py")
STAGE = Path("/run/funai-sandbox")
"""An empty folder of the host's on which each launch mounts, in a mount namespace of its own, what its build sees."""
FIRST_ID, IDS = 0x7000_0000, 65_536
"""The host's user and group ids that are a build's 0 to 65535: above those of containers and users, below 2^31."""
RESOLVER, DOOR, RELAY = "198.19.255.53", "198.19.255.80", "198.19.255.1"
"""Addresses of ours inside every build's network (from a range of testers of networks): names, the registry, the way out."""
DOOR_PORT, RELAY_PORT = 5000, 15001
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_CONFIGURATION = ("/etc/ssl", "/etc/pki", "/etc/ca-certificates", "/etc/alternatives", "/etc/ld.so.cache")
"""Of the host's, where there: certificate authorities, and what programs need to be found and linked."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder or file of the host's, and where it is seen inside."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """Into what a process is put: control groups it joins, the network namespace's file, and what it sees."""

    cgroups: tuple[Path, ...] = ()
    network: str = ""
    binds: tuple[Bind, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    bwrap: str = "/usr/bin/bwrap"


@dataclass(frozen=True, slots=True)
class Host:
    """What of the host's programs is bound read-only: ``links`` are top folders that are links, ``folders`` real ones."""

    links: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]

    @staticmethod
    def here() -> Host:
        tops = [Path(name) for name in _SYSTEM if Path(name).exists()]
        links = tuple((str(p.readlink()), str(p)) for p in tops if p.is_symlink())
        folders = [str(p) for p in tops if not p.is_symlink()] + [c for c in _CONFIGURATION if Path(c).exists()]
        return Host(links, ("/usr", *folders))


def walled(command: Command, entry: Entry, host: Host) -> Command:
    """``command`` inside the wall. Only ``entry.env`` and the command's own variables are its environment."""
    sources = [*(str(b.source) for b in entry.binds), *map(str, entry.cgroups)]
    spec = {
        "stage": str(STAGE),
        "sources": sources,
        "cgroups": [str(g) for g in entry.cgroups],
        "network": entry.network,
        "first_id": FIRST_ID,
        "ids": IDS,
    }
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", **entry.env, **(command.env or {})}
    settings = [word for name, value in sorted(env.items()) for word in ("--setenv", name, value)]
    where = ("--chdir", str(command.cwd)) if command.cwd else ()
    inside = ("--", *command.argv)
    argv = (
        sys.executable,
        "-I",
        "-S",
        str(LAUNCH),
        json.dumps(spec),
        entry.bwrap,
        *_view(entry, host),
        *settings,
        *where,
        *inside,
    )
    return Command(argv, cwd=Path("/"))


def _view(entry: Entry, host: Host) -> list[str]:
    """bubblewrap's words: namespaces, and the file tree from its root on."""
    words = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup", "--die-with-parent", "--hostname", "build"]
    words += ["--cap-add", "ALL", "--clearenv", "--dir", "/etc"]
    early = [b for b in entry.binds if b.target == "/etc"]
    for number, bind in enumerate(entry.binds):
        if bind in early:
            words += ["--ro-bind", f"{STAGE}/{number}", bind.target]
    for folder in host.folders:
        words += ["--ro-bind", folder, folder]
    for target, link in host.links:
        words += ["--symlink", target, link]
    words += ["--proc", "/proc", "--dev", "/dev", "--ro-bind", f"{STAGE}/sys", "/sys"]
    for place in ("/tmp", "/run", "/var"):
        words += ["--tmpfs", place]
    words += ["--dir", "/var/tmp", "--chmod", "1777", "/tmp", "--chmod", "1777", "/var/tmp"]
    words += _groups_seen(entry.cgroups, len(entry.binds))
    for number, bind in enumerate(entry.binds):
        if bind not in early:
            words += ["--bind" if bind.writable else "--ro-bind", f"{STAGE}/{number}", bind.target]
    return words


def _groups_seen(groups: tuple[Path, ...], first: int, root: Path = Path("/sys/fs/cgroup")) -> list[str]:
    """The build's own groups in place of their hierarchies' roots, so that its limits stand where programs look for them.

    ``first`` is the number of the first group among the gathered sources.
    """
    if (root / "cgroup.controllers").exists() and groups:
        return ["--ro-bind", f"{STAGE}/{first}", str(root)]
    words = ["--tmpfs", str(root)]
    for number, group in enumerate(groups, first):
        words += ["--ro-bind", f"{STAGE}/{number}", str(root / group.relative_to(root).parts[0])]
    return [*words, "--remount-ro", str(root)]
