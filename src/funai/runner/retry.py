"""Trying again while another part is briefly away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from funai.runner.failures import JobFailed

T = TypeVar("T")
FIRST, LARGEST = 0.5, 8.0
"""Seconds of the first and the longest pause."""


async def retrying(work: Callable[[], Awaitable[T]], *, seconds: float, when: Callable[[JobFailed], bool]) -> T:
    """Do ``work`` until it succeeds, fails for a reason that ``when`` denies, or ``seconds`` have passed."""
    end, pause = time.monotonic() + seconds, FIRST
    while True:
        try:
            return await work()
        except JobFailed as e:
            if not when(e) or time.monotonic() + pause > end:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, LARGEST)
