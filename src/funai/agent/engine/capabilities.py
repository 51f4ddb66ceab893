"""Which Linux capabilities to take away and which to add, so that exactly ``keep`` remain. Pure.

``drop ALL`` with additions would be shorter, but Podman makes *added* capabilities effective for images that run as an
ordinary user, who would then have CHOWN or SETUID. Taken away one by one, what is kept stays root's alone.
"""

from __future__ import annotations

from collections.abc import Collection

DEFAULT = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "NET_RAW",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
"""What Docker gives by default; Podman gives a part of it."""
ALL = DEFAULT | frozenset(
    [
        "AUDIT_CONTROL",
        "AUDIT_READ",
        "BLOCK_SUSPEND",
        "DAC_READ_SEARCH",
        "IPC_LOCK",
        "IPC_OWNER",
        "LEASE",
        "LINUX_IMMUTABLE",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
        "NET_ADMIN",
        "NET_BROADCAST",
        "SYSLOG",
        "SYS_ADMIN",
        "SYS_BOOT",
        "SYS_MODULE",
        "SYS_NICE",
        "SYS_PACCT",
        "SYS_PTRACE",
        "SYS_RAWIO",
        "SYS_RESOURCE",
        "SYS_TIME",
        "SYS_TTY_CONFIG",
        "WAKE_ALARM",
    ]
)
"""capabilities(7) up to Linux 3.16: what every engine knows. Later ones are in no default."""
FOR_ORDINARY_USERS = frozenset({"NET_BIND_SERVICE"})
"""Added outright where kept: an image that runs as an ordinary user may listen on port 80."""


def changes(keep: Collection[str]) -> tuple[list[str], list[str]]:
    """(to drop, to add) for an engine's ``CapDrop`` and ``CapAdd``."""
    kept = frozenset(keep)
    return sorted(ALL - kept), sorted(kept - DEFAULT | kept & FOR_ORDINARY_USERS)
