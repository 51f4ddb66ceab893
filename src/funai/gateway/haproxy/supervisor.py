"""The life of the proxy: adopted, started, restarted when it dies, replaced by a successor, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress

from funai.base.observability import log
from funai.base.process.daemon import start_time
from funai.base.process.lifecycle import Change, emit
from funai.contracts.routes import GatewayError
from funai.gateway.haproxy.config import CONN_CUR
from funai.gateway.haproxy.process import HaproxyProcess, Running, check_listeners, cpu_time, exited
from funai.gateway.haproxy.route_sync import RouteKeeper
from funai.gateway.haproxy.rules.shares import INFLIGHT_TABLE
from funai.gateway.haproxy.runtime_api import RuntimeApi, RuntimeApiError
from funai.gateway.metrics import GatewayMetrics

BACKOFF = (0.0, 0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before the starts of a proxy that keeps dying; the first is immediate."""
_TICK = 0.02
PROGRAM = "haproxy"
"""Its name in lifecycle events."""
LOOK_SECONDS = 1.0
SILENT_LOOKS = 2
"""So many looks in a row, each with a question that got no answer in a second, make a proxy frozen."""
STEADY_SECONDS = 30.0
"""A proxy that lived so long starts again with no pause."""

Own = Callable[[Coroutine[object, object, None], str], asyncio.Task[None]]


class ProxyLife:
    """``own`` starts a task in its owner's name. All but the properties must be called under ``routes.lock``, or before
    any other task runs."""

    def __init__(
        self, process: HaproxyProcess, routes: RouteKeeper, metrics: GatewayMetrics, listeners: list[tuple[str, int]], own: Own
    ) -> None:
        self._process, self._routes, self._metrics = process, routes, metrics
        self._listeners, self._own = listeners, own
        self._watch: asyncio.Task[None] | None = None
        self._predecessors: set[int] = set()
        self._starts = 0
        self.pid = 0

    @property
    def alive(self) -> bool:
        return self.pid != 0 and start_time(self.pid) != ""

    @property
    def draining(self) -> int:
        """How many replaced processes still finish their open requests."""
        self._predecessors = {pid for pid in self._predecessors if start_time(pid)}
        return len(self._predecessors)

    async def adopt(self, running: Running) -> None:
        """Go on with a proxy that runs our configuration. Raises GatewayError."""
        self._predecessors = set(self._process.pids()) - {running.pid}
        try:
            await self._routes.impose()
        except RuntimeApiError as e:
            raise GatewayError(str(e)) from e
        self._serve_with(running.pid)
        log.get("gateway").info("gateway.adopted", pid=running.pid, routes=len(self._routes))

    async def start(self, cause: str) -> None:
        """Start one where none is. Raises GatewayError."""
        await self._free_listeners()
        entries = await self._written()
        pid = await self._process.start()
        self._took_over(pid, entries, cause)

    async def replace(self, old: int) -> None:
        """A new process takes over the listening sockets; ``old`` finishes its open requests. Raises GatewayError."""
        entries = await self._written()
        self._unwatch()  # That the old one ends now is what we want.
        try:
            pid = await self._process.replace(old)
        except GatewayError:
            self._serve_with(old)
            raise
        self._predecessors = set(self._process.pids()) - {pid}
        self._took_over(pid, entries, "replaced")

    async def _free_listeners(self) -> None:
        """A proxy of ours that listens but does not answer us is of no use: end it. Anybody else's port is an error."""
        for listener in self._listeners:
            try:
                check_listeners([listener])
            except GatewayError:
                if not self._process.pids():
                    raise
                await self._process.end()
                check_listeners([listener])

    async def _written(self) -> dict[str, str] | None:
        """What the next process will read. None when a full disk keeps us from saying: an older file is better than no
        proxy, and the table is set right over the runtime API."""
        try:
            return await self._routes.to_disk()
        except GatewayError as e:
            log.get("gateway").error("gateway.route_file_failed", error=str(e))
            return None

    def _took_over(self, pid: int, entries: dict[str, str] | None, cause: str) -> None:
        self._routes.loaded(entries)
        self._serve_with(pid)
        self._metrics.starts.labels(cause).inc()
        log.get("gateway").info("gateway.started", pid=pid, cause=cause, routes=len(self._routes))

    def _serve_with(self, pid: int) -> None:
        self._unwatch()
        self.pid = pid
        self._watch = self._own(self._restart_when_gone(pid), "gateway:watch")

    def _unwatch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()

    async def _restart_when_gone(self, pid: int) -> None:
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            frozen = group.create_task(self._end_when_frozen(pid))
            await exited(pid)
            frozen.cancel()
        self._watch = None
        self.pid = 0
        log.get("gateway").error("gateway.died", pid=pid)
        emit(PROGRAM, Change.DIED)
        if time.monotonic() - began > STEADY_SECONDS:
            self._starts = 0
        while True:
            await asyncio.sleep(BACKOFF[min(self._starts, len(BACKOFF) - 1)])
            self._starts += 1
            async with self._routes.lock:
                if self.pid:
                    return
                try:
                    await self.start("died")
                    emit(PROGRAM, Change.BACK)
                    return
                except GatewayError as e:
                    log.get("gateway").error("gateway.restart_failed", error=str(e))
                    emit(PROGRAM, Change.FAILED, str(e))

    async def _end_when_frozen(self, pid: int) -> None:
        """Kill a proxy that neither answers nor gets any time of a processor: another one can have its ports then."""
        silent, spent = 0, ""
        while silent < SILENT_LOOKS:
            await asyncio.sleep(LOOK_SECONDS)
            before, spent = spent, cpu_time(pid)
            silent = 0 if spent != before or await self._process.answers() else silent + 1
        log.get("gateway").error("gateway.frozen", pid=pid)
        emit(PROGRAM, Change.FROZEN)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    async def end(self, api: RuntimeApi, grace: float) -> None:
        """No new connections; open requests get ``grace`` seconds; then none. The owner's tasks must be gone.

        A client's idle kept-alive connection is not waited for.
        """
        self.pid = 0
        with suppress(RuntimeApiError, TimeoutError):
            # On a connection opened before: a proxy that drains takes no new ones.
            await api.ask("show info")
            self._process.drain()
            async with asyncio.timeout(grace):
                await self._idle(api)
        api.close()
        await self._process.end()

    async def _idle(self, api: RuntimeApi) -> None:
        while True:
            busy = CONN_CUR in await api.ask(f"show table {INFLIGHT_TABLE} data.conn_cur gt 0")
            if not busy and not self.draining:
                return
            await asyncio.sleep(_TICK)
