"""What an app of this node meets on its network: DNS at its bridge, and packets between it and this host."""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from enum import StrEnum

SECONDS = 2.0
NEWNET = 0x40000000
"""``CLONE_NEWNET`` of ``setns(2)``."""
CLOSED_PORT = 1
"""A port that no app listens on: the container's kernel refuses it, whatever state the app is in."""


class Heard(StrEnum):
    ANSWER = "answer"
    """Also one that says no."""
    REFUSED = "refused"
    """A reset or an ICMP error: nothing listens, or a firewall rejects."""
    SILENCE = "silence"
    UNKNOWN = "unknown"
    """It could not be tried."""


def question(name: str) -> bytes:
    """A DNS query for the name's IPv4 address."""
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("ascii").split(b"."))
    return secrets.token_bytes(2) + struct.pack(">HHHHH", 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


def ask_resolver(pid: int, server: tuple[str, int], name: str) -> Heard:
    """Ask a DNS server from the network namespace of a process. Blocks for up to ``SECONDS``."""
    heard = [Heard.UNKNOWN]

    def ask() -> None:
        try:
            fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            if ctypes.CDLL(None, use_errno=True).setns(fd, NEWNET) == 0:
                heard[0] = _exchange(server, question(name))
        finally:
            os.close(fd)

    # The namespace is the thread's own, so it ends with it.
    thread = threading.Thread(target=ask, name="probe", daemon=True)
    thread.start()
    thread.join()
    return heard[0]


def _exchange(server: tuple[str, int], query: bytes) -> Heard:
    def ask() -> None:
        sock.connect(server)
        sock.send(query)
        sock.recv(512)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(SECONDS)
        return _heard(ask)


def reach(address: str, port: int = CLOSED_PORT) -> Heard:
    """Whether packets go from this host to a container and back. Blocks for up to ``SECONDS``."""
    return _heard(lambda: socket.create_connection((address, port), timeout=SECONDS).close())


def _heard(ask: Callable[[], object]) -> Heard:
    """What came of asking; ``ask`` raises the socket's errors."""
    try:
        ask()
    except TimeoutError:
        return Heard.SILENCE
    except ConnectionRefusedError:
        return Heard.REFUSED
    except OSError:
        return Heard.UNKNOWN
    return Heard.ANSWER
