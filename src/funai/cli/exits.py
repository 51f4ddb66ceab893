"""What the exit status means to a script. Pure."""

from __future__ import annotations

from enum import IntEnum

from funai.contracts.errors import FunaiError


class Exit(IntEnum):
    """Documented in docs/cli.md; never renumber."""

    OK = 0
    FAILED = 1
    """The deploy, the app or a check failed, and it is the user's to fix."""
    USAGE = 2
    """A wrong argument, or settings that can't be used."""
    LOGIN = 3
    """Not logged in, or the login has expired."""
    REFUSED = 4
    """Understood and refused: a quota, a conflict, no permission, a rate limit."""
    NOT_FOUND = 5
    PLATFORM = 6
    """The platform can't be reached, or failed."""
    CANCELLED = 7
    """The job that was waited for was cancelled."""
    OUTPUT = 8
    """The answer could not be written: standard output's disk is full, or its device failed."""
    INTERRUPTED = 130
    """Ctrl-C. A job that was being followed goes on."""
    PIPE = 141
    """The reader of standard output left (``| head``), as a shell shows SIGPIPE."""


_BY_CODE = {
    400: Exit.USAGE,
    401: Exit.LOGIN,
    403: Exit.REFUSED,
    404: Exit.NOT_FOUND,
    409: Exit.REFUSED,
    413: Exit.REFUSED,
    422: Exit.USAGE,
    429: Exit.REFUSED,
}


def exit_for_error(error: FunaiError) -> Exit:
    """By the HTTP status the error stands for; anything unknown is the platform's."""
    return _BY_CODE.get(error.code, Exit.PLATFORM)


def exit_for_job(status: str, blame: str | None) -> Exit:
    """The exit status after a job that ended as ``status``; ``blame`` is its failure's, ``user`` or ``platform``."""
    if status == "SUCCEEDED":
        return Exit.OK
    if status == "CANCELLED":
        return Exit.CANCELLED
    return Exit.PLATFORM if blame == "platform" else Exit.FAILED
