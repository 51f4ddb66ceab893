"""Waiting for an engine that restarts: its service may be away for seconds while the containers go on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from funai.agent.engine.contract import EngineUnreachable
from funai.base.retry import retrying

T = TypeVar("T")


async def patiently(work: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Do ``work``; while the engine does not answer, try again for up to ``seconds``. The work must be idempotent."""
    return await retrying(work, on=EngineUnreachable, seconds=seconds, first=0.1, longest=2)
