"""Waiting for conditions with a deadline, and free ports: what tests use where one would be tempted to sleep."""

from __future__ import annotations

import asyncio
import inspect
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from funai.base.process.ports import free_port

__all__ = ["Deadline", "eventually", "free_port", "tcp_answers", "unix_answers", "wait_until"]

T = TypeVar("T")
SHARE = 4
"""A condition's own time is at most a fifth of the waiting: one that starts a program would keep a processor busy."""
PATIENCE = 4
"""A deadline tells a hang from a wait, and says nothing of speed: on a busy machine all of it takes several times as long."""


class Deadline(AssertionError):
    """A condition did not come true in time. An AssertionError, so that pytest shows it as the test's own failure."""


def wait_until(condition: Callable[[], T], *, seconds: float = 10, what: str = "", every: float = 0.02) -> T:
    """Call ``condition`` until it answers something truthy, and return that.

    Raises ``Deadline`` after ``seconds`` times ``PATIENCE``.

    For code outside the event loop; in a coroutine use ``eventually``.
    """
    end = time.monotonic() + seconds * PATIENCE
    while True:
        began = time.monotonic()
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > end:
            raise Deadline(f"not within {seconds * PATIENCE:g} s: {what or condition}")
        time.sleep(_pause(every, now - began))


async def eventually(
    condition: Callable[[], T | Awaitable[T]], *, seconds: float = 10, what: str = "", every: float = 0.02
) -> T:
    """The same for coroutines: ``condition`` may be a plain or an async function."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        began = time.monotonic()
        value = condition()
        result = await value if inspect.isawaitable(value) else value
        if result:
            return result
        now = time.monotonic()
        if now > end:
            raise Deadline(f"not within {seconds * PATIENCE:g} s: {what or condition}")
        await asyncio.sleep(_pause(every, now - began))


def _pause(every: float, took: float) -> float:
    return max(every, min(SHARE * took, 1))


def tcp_answers(port: int, host: str = "127.0.0.1") -> bool:
    """True when something accepts connections there."""
    with socket.socket() as sock:
        sock.settimeout(1)
        return sock.connect_ex((host, port)) == 0


def unix_answers(path: Path) -> bool:
    """True when something accepts connections on this unix socket."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1)
        return sock.connect_ex(str(path)) == 0
