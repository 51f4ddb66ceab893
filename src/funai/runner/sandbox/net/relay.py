"""The way out of a build's network: TCP connections made anew from the host, after a look at where they go; and names.

It runs in a thread and loop of its own, so that a build's downloads delay neither heartbeats nor other jobs.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from funai.base.observability import log
from funai.runner.sandbox.net.fence import Opening, reachable
from funai.runner.sandbox.net.namespace import Network

SO_ORIGINAL_DST = 80
PIECE = 256 * 1024
MAX_CONNECTIONS, MAX_QUERIES = 1024, 256
CONNECT_SECONDS, NAME_SECONDS, IDLE_SECONDS = 30, 5, 600
RESOLV_CONF = Path("/etc/resolv.conf")


class Policy:
    """Where the build that has a network now may go. Changed between builds, read at each connection."""

    def __init__(self) -> None:
        self.openings: tuple[Opening, ...] = ()
        self.open = False


class Relay(threading.Thread):
    """Serves any number of networks until ``close``."""

    def __init__(self) -> None:
        super().__init__(name="build-relay", daemon=True)
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()

    def run(self) -> None:
        self._loop.run_until_complete(self._ended.wait())
        self._loop.run_until_complete(self._end())
        self._loop.close()

    def serve(self, network: Network) -> Policy:
        """Begin to serve the network; nothing is let through until the policy says ``open``."""
        policy = Policy()
        asyncio.run_coroutine_threadsafe(self._begin(network, policy), self._loop).result()
        return policy

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self.join()

    async def _begin(self, network: Network, policy: Policy) -> None:
        names = _Names(network.names)

        async def relayed(sock: socket.socket) -> None:
            await self._relayed(sock, policy)

        self._spawn(_accepting(network.relay, relayed))
        self._spawn(_accepting(network.names_tcp, self._named))
        self._spawn(names.run())

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _relayed(self, inner: socket.socket, policy: Policy) -> None:
        address, port = original(inner)
        allowed = policy.open and reachable(address, port, policy.openings)
        if not allowed or (_is_ours(address) and not any(o.admits(address, port) for o in policy.openings)):
            log.get("runner").info("sandbox.refused", address=address, port=port)
            _reset(inner)
            return
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as outer:
            outer.setblocking(False)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._loop.sock_connect(outer, (address, port))
            except (OSError, TimeoutError):
                _reset(inner)
                return
            await _joined(inner, outer)

    async def _named(self, inner: socket.socket) -> None:
        for server in nameservers():
            family = socket.AF_INET6 if ":" in server else socket.AF_INET
            with socket.socket(family, socket.SOCK_STREAM) as outer:
                outer.setblocking(False)
                try:
                    async with asyncio.timeout(NAME_SECONDS):
                        await self._loop.sock_connect(outer, (server, 53))
                except (OSError, TimeoutError):
                    continue
                await _joined(inner, outer)
                return


def original(sock: socket.socket) -> tuple[str, int]:
    """Where the connection was meant to go."""
    data = sock.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16)
    port, address = struct.unpack_from("!2xH4s", data)
    return socket.inet_ntoa(address), int(port)


def _is_ours(address: str) -> bool:
    """Whether this host has the address: the kernel answers from it without a packet being sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, suppress(OSError):
        sock.connect((address, 9))
        return bool(sock.getsockname()[0] == address)
    return False


def _reset(sock: socket.socket) -> None:
    """Close so that the other side sees a refusal and not an empty answer."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def _accepting(listener: socket.socket, serve: Callable[[socket.socket], Awaitable[None]]) -> None:
    """Each connection is a task of its own; more than the limit wait in the backlog."""
    loop, places = asyncio.get_running_loop(), asyncio.Semaphore(MAX_CONNECTIONS)
    tasks = set[asyncio.Task[None]]()

    async def one(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            await serve(sock)

    def ended(task: asyncio.Task[None]) -> None:
        tasks.discard(task)
        places.release()

    try:
        while True:
            await places.acquire()
            sock, _ = await loop.sock_accept(listener)
            task = loop.create_task(one(sock))
            tasks.add(task)
            task.add_done_callback(ended)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _joined(one: socket.socket, other: socket.socket) -> None:
    """Bytes both ways until both sides have ended, one has failed, or nothing has come for a long time."""
    moved = [asyncio.get_running_loop().time()]
    ways = [asyncio.create_task(_pump(one, other, moved)), asyncio.create_task(_pump(other, one, moved))]
    try:
        while any(not w.done() for w in ways):
            await asyncio.wait(ways, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_EXCEPTION)
            if any(w.done() and w.exception() for w in ways):
                _reset(one)
                return
            if asyncio.get_running_loop().time() - moved[0] >= IDLE_SECONDS:
                return
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _pump(source: socket.socket, sink: socket.socket, moved: list[float]) -> None:
    loop = asyncio.get_running_loop()
    buffer = bytearray(PIECE)
    view = memoryview(buffer)
    while count := await loop.sock_recv_into(source, buffer):
        moved[0] = loop.time()
        await loop.sock_sendall(sink, view[:count])
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


class _Names:
    """DNS over UDP: questions go to the host's own name servers, answers back, unread."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._places = asyncio.Semaphore(MAX_QUERIES)
        self._tasks = set[asyncio.Task[None]]()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                question, asker = await loop.sock_recvfrom(self._sock, 4096)
                if self._places.locked():
                    continue
                await self._places.acquire()
                task = loop.create_task(self._answer(question, asker))
                self._tasks.add(task)
                task.add_done_callback(self._done)
        finally:
            for task in self._tasks:
                task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._places.release()

    async def _answer(self, question: bytes, asker: Any) -> None:
        loop = asyncio.get_running_loop()
        for server in nameservers():
            family = socket.AF_INET6 if ":" in server else socket.AF_INET
            with socket.socket(family, socket.SOCK_DGRAM) as sock, suppress(OSError, TimeoutError):
                sock.setblocking(False)
                async with asyncio.timeout(NAME_SECONDS):
                    await loop.sock_connect(sock, (server, 53))
                    await loop.sock_sendall(sock, question)
                    answer = await loop.sock_recv(sock, 65535)
                await loop.sock_sendto(self._sock, answer, asker)
                return
        # No name server answered: say so (SERVFAIL) instead of letting the asker wait.
        if len(question) >= 12:
            with suppress(OSError):
                await loop.sock_sendto(self._sock, question[:2] + b"\x81\x82" + question[4:6] + bytes(6) + question[12:], asker)


def nameservers(conf: Path = RESOLV_CONF) -> list[str]:
    """The host's own, in their order."""
    try:
        lines = conf.read_text().splitlines()
    except OSError:
        return []
    return [words[1].partition("%")[0] for line in lines if len(words := line.split()) > 1 and words[0] == "nameserver"][:3]


async def openings_of(places: Iterable[tuple[str, int | None]]) -> tuple[Opening, ...]:
    """The operator's exceptions as addresses; a name that can't be resolved now opens nothing."""
    found: list[Opening] = []
    for host, port in places:
        try:
            found.append(Opening(ip_network(host, strict=False), port))
        except ValueError:
            with suppress(OSError):
                infos = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET)
                found += [Opening(ip_network(str(i[4][0])), port) for i in infos]
    return tuple(dict.fromkeys(found))
