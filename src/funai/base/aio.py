"""Tasks with an owner: periodic loops, races with a stop signal, and an HTTP server as a task."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI

from funai.base.http.arrival import ArrivalProtocol
from funai.base.observability import log
from funai.contracts.errors import ConfigError, FunaiError

T = TypeVar("T")
MAX_HEAD = 64 * 1024
"""Bytes of a request's head."""
YOUNG_OBJECTS = 10_000
CERTIFICATE_SECONDS = 5.0
"""How often a certificate's files are looked at."""


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set ``stop``; the process then ends in its own order."""
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sig, stop.set)


def settle_memory() -> None:
    """Call once a process is up: what it loaded is left out of every later garbage collection.

    A full collection walks all modules and models, 100 to 160 ms in which the loop answers no request
    (docs/decisions/queue-measured.md). Young objects are looked at less often than once in 700: a request makes hundreds, and
    nearly all of them go without a collector.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS, *gc.get_threshold()[1:])


async def wait_any(*events: asyncio.Event, timeout: float | None = None) -> None:
    """Return when one of the events is set, or after ``timeout`` seconds."""
    waits = [asyncio.create_task(e.wait()) for e in events]
    try:
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for w in waits:
            w.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


class Stopped(Exception):
    """Work was cancelled because what it was raced with came first."""


async def unless(stop: asyncio.Event | asyncio.Future[Any], work: Awaitable[T]) -> T:
    """Awaits ``work`` and cancels it when ``stop`` is set or done first. ``stop`` itself is never cancelled.

    Returns once ``work`` has ended. Raises Stopped if it was cancelled, else what it raises.
    """
    doing = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait()) if isinstance(stop, asyncio.Event) else asyncio.shield(stop)
    try:
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            doing.cancel()
            await asyncio.wait({doing})
        if doing.cancelled():
            raise Stopped
        return doing.result()
    finally:
        for task in (doing, stopping):
            task.cancel()
        await asyncio.gather(doing, stopping, return_exceptions=True)


async def until(stop: asyncio.Event, items: AsyncIterator[T]) -> AsyncIterator[T]:
    """Yields ``items`` until they end or ``stop`` is set."""
    with suppress(Stopped, StopAsyncIteration):
        while not stop.is_set():
            yield await unless(stop, anext(items))


async def guarded(name: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do ``work``; a failure is logged."""
    logger = log.get(name)
    try:
        await work()
    except Exception as e:
        # A refusal of ours (the database is away) says all there is to say, and says it every few seconds.
        unexpected = not isinstance(e, FunaiError)
        logger.warning("periodic.failed", task=name, error=str(e) or type(e).__name__, exc_info=unexpected)


async def periodic(
    name: str,
    every: float,
    work: Callable[[], Awaitable[object]],
    stop: asyncio.Event,
    *,
    jitter: float = 0.1,
    at_most: float = 0.0,
) -> None:
    """Do ``work`` now and then every ``every`` seconds (± jitter) until ``stop``. A failure is logged and retried later.

    ``at_most``: the pause grows up to these seconds while the work would take more than a twentieth of the time.
    """
    while not stop.is_set():
        began = time.monotonic()
        await guarded(name, work)
        pause = max(every, min(20 * (time.monotonic() - began), at_most))
        with suppress(TimeoutError):
            async with asyncio.timeout(pause * (1 + random.uniform(-jitter, jitter))):
                await stop.wait()


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises ConfigError that names the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(2048)
    except OSError as e:
        sock.close()
        raise ConfigError([f"{host}:{port} can't be listened on: {e.strerror or e}"]) from e
    sock.setblocking(False)
    return sock


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process handles signals and stops its services in its own order."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


async def _run(server: _Server, sock: socket.socket, title: str) -> None:
    """uvicorn leaves the whole process when the app's lifespan fails; here that is one service's error."""
    try:
        await server.serve(sockets=[sock])
    except SystemExit as e:
        raise ConfigError([f"{title} could not start; the lines before this one say why"]) from e


@asynccontextmanager
async def serving_https(
    app: FastAPI, sock: socket.socket, certificate: Path, key: Path, stop: asyncio.Event
) -> AsyncIterator[int]:
    """One more door of an app that :func:`serving` serves already. A renewed certificate is taken over while it runs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    seen = _written(certificate, key)

    async def renew() -> None:
        nonlocal seen
        now = _written(certificate, key)
        if now != seen:
            context.load_cert_chain(certificate, key)  # new connections get it; a half-written pair is tried again
            seen = now

    watch = asyncio.create_task(periodic("https-certificate", CERTIFICATE_SECONDS, renew, stop))
    try:
        async with serving(app, sock, tls=context) as port:
            yield port
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


def _always(tls: ssl.SSLContext) -> Callable[[uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext]:
    def factory(config: uvicorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:  # noqa: ARG001
        return tls

    return factory


def _written(*files: Path) -> list[tuple[int, int]]:
    return [(f.stat().st_mtime_ns, f.stat().st_size) for f in files]


@asynccontextmanager
async def serving(
    app: FastAPI, sock: socket.socket, *, grace: float = 10, tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve ``app`` on ``sock`` while the context is open; yields the port once it answers.

    On leaving: no new connections, requests in flight get ``grace`` seconds, then the app's lifespan ends. With ``tls`` it is
    another socket of an app whose lifespan runs elsewhere.
    """
    # X-Forwarded-For is `doors.client_address`'s business: uvicorn's own reading of it would trust all of loopback.
    # On h11, because uvicorn's other parser stops at an offered upgrade (`Upgrade: h2c`, which the JDK's client always sends)
    # and loses the request's body. No service of ours speaks WebSocket.
    config = uvicorn.Config(
        app,
        http=ArrivalProtocol,
        h11_max_incomplete_event_size=MAX_HEAD,
        ws="none",
        log_config=None,
        log_level="error",  # each offered upgrade would be two warnings
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=int(grace),
        timeout_keep_alive=75,
        lifespan="auto" if tls is None else "off",
        ssl_context_factory=_always(tls) if tls else None,
    )
    server = _Server(config)
    with closing(sock):
        task = asyncio.create_task(_run(server, sock, app.title), name=f"http:{app.title}")
        try:
            while not server.started:
                if task.done():
                    await task
                    raise RuntimeError(f"{app.title} did not start")
                await asyncio.sleep(0.01)
            yield int(sock.getsockname()[1])
        finally:
            server.should_exit = True
            await asyncio.gather(task, return_exceptions=True)
