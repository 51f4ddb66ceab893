"""Standard streams that may be closed, full, or without a reader: an exit status of its own, never a traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, TextIO, cast

from funai.cli.exits import Exit


class OutputLost(Exception):
    """A standard stream takes no more. Not an OSError: neither Typer nor a verb may take it for a file's trouble."""

    def __init__(self, error: OSError) -> None:
        self.error = error
        super().__init__(str(error))

    @property
    def exit_code(self) -> Exit:
        return Exit.PIPE if isinstance(self.error, BrokenPipeError) else Exit.OUTPUT


class Guarded(io.TextIOWrapper):
    """A text stream whose failures are OutputLost."""

    def write(self, text: str, /) -> int:
        with _guarding():
            return super().write(text)

    def flush(self) -> None:
        with _guarding():
            super().flush()


@contextmanager
def _guarding() -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise OutputLost(e) from e


def settle() -> None:
    """Have three streams: a closed one becomes the null device, and no socket of ours gets its number.

    A terminal that lacks a character gets ``?``; input that isn't in its encoding is refused.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream: TextIO | None = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # for the process's life
        elif isinstance(stream, io.TextIOWrapper):
            if mode == "r":
                stream.reconfigure(errors="strict")
            else:
                encoding, buffered = stream.encoding, stream.line_buffering
                plain = cast("BinaryIO", stream.detach())
                setattr(sys, name, Guarded(plain, encoding=encoding, errors="replace", line_buffering=buffered))


def let_go() -> OutputLost | None:
    """Flush what is left; a stream that can't be flushed is given up, so that the interpreter's own flush succeeds."""
    lost: OutputLost | None = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OutputLost as e:
            lost = lost or e
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
    return lost


def complain(lost: OutputLost) -> None:
    """One line on standard error, unless the reader simply left or standard error is the stream that is lost."""
    if lost.exit_code is not Exit.PIPE:
        with suppress(OutputLost):
            print(f"funai: standard output: {lost.error.strerror or lost.error}", file=sys.stderr, flush=True)
