"""Trying again while a fault may pass by itself.

Not stamina: its context costs 0.1 ms also when the first try succeeds, and transactions on SQLite take 0.3 ms.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypedDict, TypeVar

T = TypeVar("T")
E = TypeVar("E", bound=Exception)


class Pauses(TypedDict):
    """Arguments of :func:`retrying` that belong together."""

    tries: int
    first: float
    longest: float


def _always(_: Exception) -> bool:
    return True


async def retrying(
    work: Callable[[], Awaitable[T]],
    *,
    on: type[E],
    when: Callable[[E], bool] = _always,
    seconds: float = math.inf,
    tries: float = math.inf,
    first: float,
    longest: float,
) -> T:
    """Does ``work``, again when it raises ``on`` and ``when`` agrees; it must be idempotent.

    Pauses double from ``first`` to ``longest`` seconds. The last error is raised after ``tries`` tries, or when the next
    pause would end more than ``seconds`` after the beginning.
    """
    end, pause = time.monotonic() + seconds, first
    while True:
        try:
            return await work()
        except on as e:
            tries -= 1
            if tries < 1 or not when(e) or time.monotonic() + pause > end:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)
