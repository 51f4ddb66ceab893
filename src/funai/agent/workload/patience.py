"""Waiting for what runs the apps while it restarts: its service may be away for seconds while the apps go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from funai.agent.workload.contract import Unreachable
from funai.base.retry import retrying

T = TypeVar("T")


async def patiently(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Do ``work``; while nothing answers, try again for up to ``seconds``. The work must be idempotent."""
    return await retrying(work, on=Unreachable, seconds=seconds, first=0.1, longest=2)
