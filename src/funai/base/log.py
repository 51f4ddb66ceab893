"""Structured logs (structlog): one JSON line an event, or coloured lines on a terminal; secrets never get in.

Bind ``trace_id`` and ``job_id`` with :func:`bound`; they follow every line of the task and travel between processes in
the ``X-Trace-Id`` header.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from collections.abc import Generator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import structlog

_SECRET_WORDS = ("secret", "token", "password", "authorization", "api_key", "private_key")


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in event:
        if any(word in name.lower() for word in _SECRET_WORDS):
            event[name] = "**********"
    return event


def configure(
    service: str, *, level: str = "INFO", json: bool | None = None, stream: TextIO | None = None, file: Path | None = None
) -> None:
    """Set up logging for a process. ``json=None``: JSON unless the stream is a terminal.

    With ``file`` the lines go there, as JSON, rotated at 20 MB with three old ones kept.
    """
    out = stream or sys.stderr
    as_json = (file is not None or not out.isatty()) if json is None else json
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    renderer: Any = structlog.processors.JSONRenderer() if as_json else _console()
    handler: logging.Handler = logging.StreamHandler(out)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(file, maxBytes=20_000_000, backupCount=3, encoding="utf-8")
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _tracebacks() if as_json else structlog.processors.StackInfoRenderer(),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpcore", "asyncssh", "aiosqlite", "uvicorn.access", "docker", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(service=service)


def _tracebacks() -> structlog.processors.ExceptionRenderer:
    """Without the frames' locals: those hold secrets."""
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=20)
    return structlog.processors.ExceptionRenderer(transformer)


def _console() -> structlog.dev.ConsoleRenderer:
    # Not the pretty tracebacks: they print local variables, and among those are secrets.
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; call it at use, or keep it on an instance."""
    return structlog.stdlib.get_logger(name)


@contextmanager
def bound(**fields: Any) -> Generator[None, None, None]:
    """Add fields to every line logged by this task and its children."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def trace_id() -> str | None:
    """The trace id bound in this task, if any."""
    value = structlog.contextvars.get_contextvars().get("trace_id")
    return str(value) if value else None
