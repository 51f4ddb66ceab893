"""Trying again while another part is briefly away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from funai.base import retry
from funai.runner.failures import JobFailed

T = TypeVar("T")


async def retrying(work: Callable[[], Awaitable[T]], *, seconds: float, when: Callable[[JobFailed], bool]) -> T:
    """Do ``work`` until it succeeds, fails for a reason that ``when`` denies, or ``seconds`` have passed."""
    return await retry.retrying(work, on=JobFailed, when=when, seconds=seconds, first=0.5, longest=8)
