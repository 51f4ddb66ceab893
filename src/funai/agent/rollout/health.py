"""Is the new generation up? HTTP on ``containerPort`` until it answers, it ends, or the deadline passes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import httpx

from funai.base.aio import Stopped, unless

FIRST_PAUSE = 0.02
PAUSE_SHARE = 0.05
"""A pause is this share of the time waited so far: what is lost by looking late stays small beside the wait itself."""
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
"""How a client of HTTP/2 begins (RFC 9113, 3.4): the preface, and empty settings."""
SETTINGS = 4
ASK_SECONDS = 5.0
"""How long one answer's head may take, however it drips."""


NOT_HTTP = "not HTTP"
NO_ANSWER = "no answer"


class Verdict(StrEnum):
    HEALTHY = "healthy"
    EXITED = "exited"
    """The container ended; ``exit_code`` says how."""
    SILENT = "silent"
    """Nothing accepted a connection on the port until the deadline."""
    UNHEALTHY = "unhealthy"
    """Something listens, but did not answer below 500 in time; ``detail`` is what it did."""
    HTTP2 = "http2"
    """It speaks HTTP/2 and nothing else, as gRPC servers do."""


@dataclass(frozen=True, slots=True)
class Probed:
    verdict: Verdict
    exit_code: int | None = None
    detail: str = ""
    seconds: float = 0.0
    """How long it was given."""


async def until_healthy(
    host: str,
    port: int,
    path: str,
    *,
    timeout: float,
    interval: float,
    exited: asyncio.Future[int],
    misplaced: Callable[[], bool] = lambda: False,
    misplaced_seconds: float = 15,
) -> Probed:
    """Probe ``http://host:port{path}`` until an answer below 500. Pauses grow from 20 ms to ``interval`` seconds.

    ``exited`` completes with the exit code when the container ends: that is noticed at once. ``misplaced`` tells whether
    the app listens, but where it can't be reached; one that does so for ``misplaced_seconds`` is not waited for longer.
    """
    began = time.monotonic()
    deadline, patience = began + timeout, began + misplaced_seconds
    listens, detail = False, ""
    longest = min(ASK_SECONDS, timeout)
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=longest) as http:  # noqa: S501 plain HTTP only
        while True:
            try:
                answered, detail_now = await unless(exited, _ask(http, f"http://{host}:{port}{path}", longest))
            except Stopped:
                return Probed(Verdict.EXITED, exit_code=exited.result())
            if answered is not None and answered < 500:
                return Probed(Verdict.HEALTHY)
            if detail_now:
                # A status says more than a later probe that a busy machine did not get to answer.
                listens, detail = True, detail if detail and detail_now.startswith(NO_ANSWER) else detail_now
            if detail_now.startswith(NOT_HTTP) and await _speaks_http2(host, port):
                return Probed(Verdict.HTTP2, seconds=round(time.monotonic() - began))
            now = time.monotonic()
            patience = now + misplaced_seconds if listens or not misplaced() else patience
            if now >= min(deadline, patience):
                return Probed(Verdict.UNHEALTHY if listens else Verdict.SILENT, detail=detail, seconds=round(now - began))
            share = (time.monotonic() - began) * PAUSE_SHARE
            await asyncio.wait({exited}, timeout=min(max(FIRST_PAUSE, share), interval))


async def _ask(http: httpx.AsyncClient, url: str, longest: float) -> tuple[int | None, str]:
    """(status, what is wrong). Both empty while nothing accepts a connection.

    The client's own limit is for each read: a head that comes byte by byte, or behind interim answers without end, would
    keep it for good. It is the shorter one, so that a connection that is never accepted is still reported as such.
    """
    try:
        async with (
            asyncio.timeout(longest + 0.1),
            http.stream("GET", url, headers={"User-Agent": "funai-probe"}) as answer,
        ):
            return answer.status_code, "" if answer.status_code < 500 else f"HTTP {answer.status_code}"
    except (httpx.ConnectError, httpx.ConnectTimeout):
        return None, ""
    except (httpx.TimeoutException, TimeoutError):
        return None, f"{NO_ANSWER} within {longest:g} s"
    except httpx.HTTPError as e:
        return None, f"{NOT_HTTP} ({type(e).__name__})"


async def _speaks_http2(host: str, port: int) -> bool:
    """Whether it answers a client of HTTP/2 in kind."""
    try:
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(HELLO)
                head = await reader.readexactly(9)
            finally:
                writer.transport.abort()
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return False
    return head[3] == SETTINGS and head[5:] == bytes(4)


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket inside a container. ``everywhere`` is False when only loopback is listened on."""

    port: int
    everywhere: bool


FIRST_CHOSEN_PORT = 32768
"""Linux chooses ports from here on (``ip_local_port_range``) for who names none."""
_LISTEN, _ESTABLISHED = "0A", "01"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


def listeners(tables: Iterable[str]) -> list[Listener]:
    """From the text of ``/proc/net/tcp`` and ``tcp6``; lowest port first."""
    found: dict[int, bool] = {}
    for local, state in _sockets(tables):
        address, _, port = local.partition(":")
        if state == _LISTEN and not _is_loopback_net(address):
            found[int(port, 16)] = found.get(int(port, 16), False) or address not in _LOOPBACK
    return [Listener(port, everywhere) for port, everywhere in sorted(found.items())]


def _is_loopback_net(address: str) -> bool:
    """127.0.0.11 is Docker's own resolver, not the app's."""
    return address == "0B00007F"


def connections(tables: Iterable[str], port: int) -> int:
    """How many connections to ``port`` are open."""
    suffix = f":{port:04X}"
    return sum(1 for local, state in _sockets(tables) if state == _ESTABLISHED and local.endswith(suffix))


def _sockets(tables: Iterable[str]) -> Iterable[tuple[str, str]]:
    for table in tables:
        for line in table.splitlines()[1:]:
            columns = line.split()
            if len(columns) > 3:
                yield columns[1], columns[3]


def socket_tables(pid: int) -> list[str]:
    """The TCP tables of a process's network namespace. Empty when they can't be read (gone, or not ours to read)."""
    tables: list[str] = []
    for name in ("tcp", "tcp6"):
        try:
            tables.append(Path(f"/proc/{pid}/net/{name}").read_text())
        except OSError:
            continue
    return tables


def misplaced(found: list[Listener], port: int) -> bool:
    """Whether the app listens where it can't be meant to: ``port`` on loopback only, or another port on all addresses.

    Loopback ports of its own beside that say nothing: build tools and worker pools open some while they start.
    """
    if any(entry.port == port and entry.everywhere for entry in found):
        return False
    return any(entry.everywhere or entry.port == port for entry in found)


def elsewhere(found: list[Listener], port: int) -> int:
    """The one port besides ``port`` that an app listens on at all addresses; 0 when there is none, or more than one.

    A port that the system chose is none: the next start gets another.
    """
    if any(entry.port == port for entry in found):
        return 0
    others = [entry.port for entry in found if entry.everywhere]
    return others[0] if len(others) == 1 and others[0] < FIRST_CHOSEN_PORT else 0


def describe(found: list[Listener], port: int) -> tuple[str, str]:
    """What a person should know about the ports that are listened on, in Chinese and English; empty when nothing is."""
    here = next((entry for entry in found if entry.port == port), None)
    if here and not here.everywhere:
        return f"；它只监听 127.0.0.1:{port}，请监听 0.0.0.0", f"; it listens on 127.0.0.1:{port} only: listen on 0.0.0.0"
    others = [entry.port for entry in found if entry.port != port]
    listed = ", ".join(map(str, others))
    if others and min(others) >= FIRST_CHOSEN_PORT:
        zh = f"；它监听的是系统随机分配的 {listed}：应用多半监听 process.env.PORT，而平台不设置它"
        en = f"; it listens on {listed}, which the system chose: probably on process.env.PORT, which this platform does not set"
        mend_zh, mend_en = (
            f"请写明 {port}，或在 Dockerfile 里写 ENV PORT={port}",
            f"write {port}, or ENV PORT={port} in the Dockerfile",
        )
        return f"{zh}；{mend_zh}", f"{en}; {mend_en}"
    if others:
        return f"；它监听的是 {listed}", f"; it listens on {listed} instead"
    return "", ""
