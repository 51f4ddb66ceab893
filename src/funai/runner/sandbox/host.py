"""Whether the wall can stand on this machine, and what is missing when it can't."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from funai.base.process.proc import Command, ProcessMissing, ProcessTimeout, run
from funai.base.process.programs import find_program
from funai.i18n.reasons import Words
from funai.runner.sandbox.wall import STAGE, Entry, Host, walled

_PROBE_SECONDS = 30
_NEEDED = {"podman": "podman", "bwrap": "bubblewrap", "ip": "iproute2", "iptables-restore": "iptables"}
_PROBE = (
    "mkdir /tmp/l /tmp/u /tmp/w /tmp/m && "
    "mount -t overlay -o lowerdir=/tmp/l,upperdir=/tmp/u,workdir=/tmp/w,userxattr overlay /tmp/m"
)
_USERNS = Path("/proc/sys/user/max_user_namespaces")
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")


@dataclass(frozen=True, slots=True)
class Programs:
    """What the wall is made with. ``runtime`` is the OCI runtime's name."""

    podman: str
    bwrap: str
    runtime: str


Find = Callable[[str], str | None]


def programs(find: Find = find_program) -> tuple[Programs | None, list[str]]:
    """The programs, or the Debian packages that bring what is missing."""
    found = {name: find(name) for name in _NEEDED}
    missing = [package for name, package in _NEEDED.items() if not found[name]]
    runtime = next((r for r in ("runc", "crun") if find(r)), None)
    if runtime is None:
        missing.append("runc")
    if missing or runtime is None:
        return None, missing
    return Programs(str(found["podman"]), str(found["bwrap"]), runtime), []


def make_stage() -> None:
    """The folder that launches mount on: the ids inside must reach it, whatever this process's umask."""
    STAGE.mkdir(exist_ok=True)
    STAGE.chmod(0o711)


async def why_not(find: Find = find_program) -> Words | None:
    """The sentence that says what is missing; None when a process could be put behind the wall."""
    if os.geteuid() != 0:
        return Words(
            "Runner 不是 root：无法为每次构建建立独立的用户、挂载与网络命名空间；请以 root 运行",
            "the Runner is not root: it can't give each build user, mount and network namespaces of its own; run it as root",
        )
    have, missing = programs(find)
    if have is None:
        packages = " ".join(missing)
        return Words(f"缺少程序：apt-get install {packages}", f"programs are missing: apt-get install {packages}")
    if _number(_USERNS) == 0:
        return Words(
            "内核禁止用户命名空间：user.max_user_namespaces 为 0", "user namespaces are off: user.max_user_namespaces is 0"
        )
    return await _probed(have)


async def _probed(have: Programs) -> Words | None:
    """A process behind the wall that mounts an overlay, which is what an engine needs most."""
    try:
        make_stage()
        command = walled(Command(("sh", "-c", _PROBE)), Entry(bwrap=have.bwrap), Host.here())
        done = await run(command, timeout=_PROBE_SECONDS)
    except (OSError, ProcessMissing, ProcessTimeout) as e:
        return Words(f"沙箱无法启动：{e}", f"a sandbox could not be started: {e}")
    if done.code == 0:
        return None
    said = done.error_text.splitlines()[-1:] or [f"exit {done.code}"]
    if _number(_APPARMOR) == 1 and "denied" in said[0].lower():
        return Words(f"AppArmor 限制了用户命名空间：{said[0]}", f"AppArmor restricts user namespaces: {said[0]}")
    return Words(f"沙箱无法启动：{said[0]}", f"a sandbox could not be started: {said[0]}")


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
