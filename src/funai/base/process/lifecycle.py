"""Lifecycle events of supervised programs, for the process that composes them to show to its operator."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum


class Change(StrEnum):
    DIED = "died"
    FROZEN = "frozen"
    """It runs but answers nothing; its supervisor kills it."""
    FAILED = "failed"
    """A restart failed; it is tried again."""
    BACK = "back"


Listener = Callable[[str, Change, str], None]
"""Takes the program's name, what changed, and the reason of a failure (else "")."""

_listener: ContextVar[Listener | None] = ContextVar("lifecycle_listener", default=None)


@contextmanager
def listening(listener: Listener) -> Generator[None, None, None]:
    """Send the events of this task, and of the tasks that are created in it, to ``listener``."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def emit(program: str, change: Change, why: str = "") -> None:
    """Report a change to the listener, if there is one."""
    if listener := _listener.get():
        listener(program, change, why)
