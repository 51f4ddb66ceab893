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
SYSCTLS = Path("/proc/sys")
_USERNS = "user/max_user_namespaces"
_APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"


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


async def why_not(find: Find = find_program, sysctls: Path = SYSCTLS) -> Words | None:
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
    if _number(sysctls / _USERNS) == 0:
        return Words(
            "内核禁止用户命名空间：user.max_user_namespaces 为 0", "user namespaces are off: user.max_user_namespaces is 0"
        )
    said = await _probed(have)
    return None if said is None else failed(said, apparmor=_number(sysctls / _APPARMOR) == 1)


def failed(said: str, *, apparmor: bool) -> Words:
    """What a probe's last words mean; ``apparmor``: whether it restricts user namespaces on this host.

    Root is exempt from that, so a profile confines bwrap, or the service that starts it.
    """
    zh, en = f"沙箱无法启动：{said}", f"a sandbox could not be started: {said}"
    if not apparmor:
        return Words(zh, en)
    return Words(
        f"{zh}；此主机的 AppArmor 限制用户命名空间（kernel.apparmor_restrict_unprivileged_userns 为 1）：root 不受限，"
        "因此是 bwrap 或本服务的 profile 去掉了权限；用 aa-status 查看，并为它停用该 profile（aa-disable）",
        f"{en}; AppArmor restricts user namespaces on this host (kernel.apparmor_restrict_unprivileged_userns is 1): root is "
        "exempt, so a profile of bwrap or of this service takes its rights; see aa-status, and switch that one off: aa-disable",
    )


async def _probed(have: Programs) -> str | None:
    """What a process behind the wall said that could not mount an overlay, which an engine needs most; None when it could."""
    try:
        make_stage()
        command = walled(Command(("sh", "-c", _PROBE)), Entry(bwrap=have.bwrap), Host.here())
        done = await run(command, timeout=_PROBE_SECONDS)
    except (OSError, ProcessMissing, ProcessTimeout) as e:
        return str(e)
    if done.code == 0:
        return None
    # The first line: mount(8) ends with a hint at the kernel's log.
    return next((line.strip() for line in done.error_text.splitlines() if line.strip()), f"exit {done.code}")


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
