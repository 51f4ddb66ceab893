"""Which ports are free, and who listens on the others, read from /proc (no extra program, no privileges for one's own)."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

_LISTEN, _UDP = "0A", "07"
UNKNOWN = "another user's process"
FIRST = 20_000
_TRIES = 32
_LOOKS = 3
"""/proc is no snapshot: the listener may change, and a descriptor may go while a process's are read."""


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago; where it can be, none that an outgoing connection may take until it is listened on."""
    below = _first_outgoing() - FIRST
    for _ in range(_TRIES if below > 0 else 0):
        if is_free(host, port := FIRST + secrets.randbelow(below)):
            return port
    with socket.socket() as sock:
        sock.bind((host, 0))
        return int(sock.getsockname()[1])


def _first_outgoing() -> int:
    """The lowest port that the kernel gives to connections; 0 when it doesn't say."""
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def unusable(host: str) -> str | None:
    """Why nothing can listen at this address, whatever the port; None when it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        try:
            sock.bind((host, 0))
        except OSError as e:
            return e.strerror or str(e)
    return None


def is_free(host: str, port: int) -> bool:
    """Whether a listener could be bound now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
            sock.listen(1)
        except OSError:
            return False
        return True


def holder(port: int) -> str | None:
    """``haproxy (pid 1234)`` for whoever listens there, ``another user's process`` when /proc hides it, else None."""
    for _ in range(_LOOKS):
        found = _holder_of(_listening_inodes(port))
        if found != UNKNOWN:
            return found
    return UNKNOWN


def _holder_of(inodes: set[str]) -> str | None:
    if not inodes:
        return None
    for pid in sorted(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()):
        if _holds(pid, inodes):
            return f"{_program(pid)} (pid {pid})"
    return UNKNOWN


def udp_holder(port: int) -> str | None:
    """The same for a UDP port that is held on all addresses."""
    inodes = {i for i, address in _sockets(("/proc/net/udp", "/proc/net/udp6"), port, _UDP) if not address.strip("0")}
    return _holder_of(inodes)


def _listening_inodes(port: int) -> set[str]:
    return {inode for inode, _ in _sockets(("/proc/net/tcp", "/proc/net/tcp6"), port, _LISTEN)}


def _sockets(tables: Iterable[str], port: int, state: str) -> set[tuple[str, str]]:
    """(inode, address as the kernel writes it) of the sockets of a port that are in this state."""
    found: set[tuple[str, str]] = set()
    for table in tables:
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == state and int(words[1].rpartition(":")[2], 16) == port:
                    found.add((f"socket:[{words[9]}]", words[1].rpartition(":")[0]))
    return found


def _holds(pid: int, inodes: set[str]) -> bool:
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as fds:
        for fd in fds:
            with contextlib.suppress(OSError):
                if os.readlink(fd.path) in inodes:
                    return True
    return False


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "a process"
