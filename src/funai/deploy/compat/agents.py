"""Agents that lack a call. It can go when every node's agent has all calls of ``contracts.agent``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from funai.base.clients.transport import AgentRefused
from funai.contracts.errors import CalleeFailed, FunaiError
from funai.contracts.reasons import Reason


@contextmanager
def may_lack_the_call(instead: FunaiError) -> Iterator[None]:
    """Raises ``instead`` where the agent has no such route; any other refusal passes as it is."""
    try:
        yield
    except AgentRefused as e:
        if e.lacks_the_call:
            raise instead from e
        raise


def too_old(node: str) -> CalleeFailed:
    return CalleeFailed(Reason.AGENT_TOO_OLD, detail=node)
