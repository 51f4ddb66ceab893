"""Structured logs (structlog): one JSON line an event, or coloured lines on a terminal; secrets never get in.

Bind ``trace_id`` and ``job_id`` with :func:`bound`; they follow every line of the task and travel between processes in
the ``X-Trace-Id`` header.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from collections.abc import Generator, Mapping, MutableMapping
from contextlib import contextmanager, nullcontext, suppress
from contextvars import Token
from pathlib import Path
from typing import Any, TextIO, cast

import structlog

_SECRET_WORDS = ("secret", "token", "password", "authorization", "api_key", "private_key")


def _redact(_: object, __: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "**********"
    return event


LOG_DIR = "FUNAI_LOG_DIR"
"""Names the folder of a service's log file; unset: its lines go to stderr, and from there to the journal."""


def configure(
    service: str, *, level: str = "INFO", json: bool | None = None, stream: TextIO | None = None, file: Path | None = None
) -> None:
    """Set up logging for a process. ``json=None``: JSON unless the stream is a terminal.

    With ``file`` the lines go there, as JSON, rotated at 20 MB with three old ones kept.
    """
    folder = os.environ.get(LOG_DIR, "")
    if folder and file is None and stream is None:
        file = Path(folder) / f"funai-{service}.log"
    out = stream or sys.stderr
    as_json = (file is not None or not out.isatty()) if json is None else json
    handler: logging.StreamHandler[Any] = logging.StreamHandler(out)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=20_000_000, backupCount=3, encoding="utf-8")
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    shown: list[Any] = [
        _tracebacks() if as_json else structlog.processors.StackInfoRenderer(),
        structlog.processors.JSONRenderer() if as_json else _console(),
    ]
    lines = _Lines(handler)
    # Our own lines don't pass through the standard library's records and formatters: that was half of a line's cost.
    structlog.configure(
        processors=[*shared, *shown],
        logger_factory=lambda *_: lines,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=False,
    )
    foreign = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *shown]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=foreign))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "asyncssh", "uvicorn.access", "docker", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


class _Lines:
    """Where finished lines go: straight to the stream of the handler that others' records go through."""

    def __init__(self, handler: logging.StreamHandler[Any]) -> None:
        self._handler = handler

    def msg(self, line: str) -> None:
        handler = self._handler
        with (
            handler.lock or nullcontext(),
            suppress(OSError, ValueError),
        ):  # a full disk or a closed pipe stops no work
            if isinstance(handler, logging.handlers.RotatingFileHandler) and _full(handler):
                handler.doRollover()
            stream = cast("TextIO", handler.stream)
            stream.write(line + "\n")
            stream.flush()

    debug = info = warning = error = critical = msg


def _full(handler: logging.handlers.RotatingFileHandler) -> bool:
    return handler.stream is not None and handler.stream.tell() > handler.maxBytes


def _tracebacks() -> structlog.processors.ExceptionRenderer:
    """Without the frames' locals: those hold secrets."""
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    return structlog.processors.ExceptionRenderer(transformer)


def _console() -> structlog.dev.ConsoleRenderer:
    # Not the pretty tracebacks: they print local variables, and among those are secrets.
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def get(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger; call it at use, or keep it on an instance."""
    return structlog.get_logger(name)


@contextmanager
def bound(**fields: object) -> Generator[None, None, None]:
    """Add fields to every line logged by this task and its children."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def bind_trace(trace_id: str) -> Mapping[str, Token[object]]:
    """Add the trace id from here on; for :func:`unbind_trace`. What every request does, so it is spared a context manager."""
    return structlog.contextvars.bind_contextvars(trace_id=trace_id)


def unbind_trace(before: Mapping[str, Token[object]]) -> None:
    structlog.contextvars.reset_contextvars(**before)


def trace_id() -> str | None:
    """The trace id bound in this task, if any."""
    value = structlog.contextvars.get_contextvars().get("trace_id")
    return str(value) if value else None
