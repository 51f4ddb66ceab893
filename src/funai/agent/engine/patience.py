"""Waiting for an engine that restarts: its service may be away for seconds while the containers go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from funai.agent.engine.contract import EngineUnreachable

T = TypeVar("T")


async def patiently(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Do ``work``; while the engine does not answer, try again for up to ``seconds``. The work must be idempotent."""
    deadline = time.monotonic() + seconds
    pause = 0.1
    while True:
        try:
            return await work()
        except EngineUnreachable:
            if time.monotonic() + pause > deadline:
                raise
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2.0)
