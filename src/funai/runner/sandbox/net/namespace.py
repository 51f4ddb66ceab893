"""A network namespace for builds: its own loopback, and nothing else.

Every address is routed to the namespace's loopback. TCP to what a build may reach is redirected to the relay's listener,
whose socket was made in here and is served by the Runner outside: no packet ever leaves, so neither neighbours nor the
host's firewall, forwarding or address translation have a part in it. The namespace belongs to the host's user namespace, so
a build's root can neither change this nor open raw sockets.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from funai.base.process.proc import Command, Finished, run
from funai.runner.sandbox.net.fence import CLOSED, Opening
from funai.runner.sandbox.wall import DOOR, DOOR_PORT, RELAY, RELAY_PORT, RESOLVER

_NEWNET = 0x40000000
_OWN = "198.19.255.0/24"
_STEP_SECONDS = 20
_BACKLOG = 512


class NoNetwork(Exception):
    """The namespace can't be made; the text is the failed program's."""


@dataclass(slots=True)
class Network:
    """The open namespace and the sockets made inside. ``close`` ends it, once no process is left in it."""

    handle: int
    relay: socket.socket
    names: socket.socket
    names_tcp: socket.socket
    proxy: socket.socket

    @property
    def path(self) -> str:
        """Where another process of root's opens it, as long as this process lives."""
        return f"/proc/{os.getpid()}/fd/{self.handle}"

    def close(self) -> None:
        for sock in (self.relay, self.names, self.names_tcp, self.proxy):
            sock.close()
        os.close(self.handle)


def rules(openings: Iterable[Opening], *, ours: bool) -> str:
    """The namespace's own ``iptables-restore`` text.

    ``ours``: for programs of ours that fetch by an operator's settings; whatever they try comes to the relay, which decides.
    A build's own loopback is its own, and what is closed to it refuses at once.
    """
    to_relay = f"-j DNAT --to-destination {RELAY}:{RELAY_PORT}"
    lines = ["*nat", ":OUTPUT ACCEPT [0:0]", f"-A OUTPUT -d {_OWN} -j RETURN"]
    if not ours:
        lines.append("-A OUTPUT -d 127.0.0.0/8 -j RETURN")
        for opening in openings:
            if opening.network.version == 4:
                port = f" --dport {opening.port}" if opening.port else ""
                lines.append(f"-A OUTPUT -p tcp -d {opening.network}{port} {to_relay}")
        lines += [f"-A OUTPUT -d {closed} -j RETURN" for closed in CLOSED]
    return "\n".join([*lines, f"-A OUTPUT -p tcp {to_relay}", "COMMIT", ""])


async def make(openings: Iterable[Opening], *, ours: bool = False) -> Network:
    """Raises NoNetwork. The thread that makes it is the only one that is ever in it."""
    return await _apart(rules(openings, ours=ours))


async def _apart(text: str) -> Network:
    # In a thread of its own: a pool's thread must not stay in another network.
    loop = asyncio.get_running_loop()
    made: asyncio.Future[Network] = loop.create_future()

    def work() -> None:
        try:
            network = asyncio.run(_make(text))
        except BaseException as e:  # noqa: BLE001  # handed on to who waits
            loop.call_soon_threadsafe(made.set_exception, e)
        else:
            loop.call_soon_threadsafe(made.set_result, network)

    threading.Thread(target=work, name="netns").start()
    return await made


async def _make(text: str) -> Network:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEWNET) != 0:
        raise NoNetwork(os.strerror(ctypes.get_errno()))
    await _step("ip", "link", "set", "lo", "up")
    await _step("ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo")
    await _step("iptables-restore", given=text)
    handle = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    return Network(
        handle, _listener(RELAY, RELAY_PORT), _datagrams(RESOLVER, 53), _listener(RESOLVER, 53), _listener(DOOR, DOOR_PORT)
    )


async def _step(*argv: str, given: str | None = None) -> Finished:
    done = await run(Command(argv), timeout=_STEP_SECONDS, input=given.encode() if given is not None else None)
    if done.code != 0:
        raise NoNetwork(f"{' '.join(argv)}: {done.error_text[-300:]}")
    return done


def _listener(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((address, port))
    sock.listen(_BACKLOG)
    sock.setblocking(False)
    return sock


def _datagrams(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, port))
    sock.setblocking(False)
    return sock
