"""A claimed job's lease: kept alive from a thread of its own, and work stops before it could have lapsed.

LeaseKeeper is one thread with its own event loop and connections, so that neither a busy main loop nor a build that
burns every CPU (builds run niced and limited) delays a heartbeat. Time is monotonic; a lease is counted from before
the request that granted it was sent, so ours always ends before the control plane's.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import StrEnum
from typing import TypeVar

from funai.base.clients.deploy import RunnerDeployClient
from funai.base.observability import log
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import HeartbeatJob, Job
from funai.contracts.reasons import Reason
from funai.contracts.states import JobStatus, Phase

T = TypeVar("T")
KILL_MARGIN = 2.0
"""Seconds before the lease's end at which work stops: what a kill of a whole build may take."""


class Lost(StrEnum):
    CANCELLED = "CANCELLED"
    """A user asked for it, or the control plane ended the job."""
    LEASE_LOST = Reason.LEASE_LOST
    """Another runner or attempt holds the job, or the control plane could not be reached in time."""
    NO_DISK = "NO_DISK"
    """The Runner's own disk is full: it gives the job back by making its lease end."""


class LeaseGone(Exception):
    """The job is no longer ours: all work on it was stopped, nothing is to be reported."""

    def __init__(self, why: Lost) -> None:
        self.why = why
        super().__init__(why)


def verdict(status: JobStatus) -> Lost | None:
    """What a heartbeat's answer means."""
    return None if status is JobStatus.RUNNING else Lost.CANCELLED if status.final else Lost.LEASE_LOST


class Lease:
    """One job's lease. Methods are safe to call from the main loop; LeaseKeeper calls :meth:`extended` and :meth:`lose`."""

    def __init__(self, job: Job, *, seconds: int, granted_at: float) -> None:
        self.job_id, self.token, self.seconds = job.wire_id, job.lease_token, seconds
        self.deadline = granted_at + seconds
        self.lost: Lost | None = None
        self.reported: JobStatus | None = None
        """The final word once it is on its way: a heartbeat that sees it is no loss."""
        self.phase: Phase | None = None
        self.message: str | None = None
        self._on_lost: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def left(self, now: float | None = None) -> float:
        """Seconds of work this lease still allows."""
        return self.deadline - KILL_MARGIN - (time.monotonic() if now is None else now)

    def extended(self, sent_at: float) -> None:
        self.deadline = max(self.deadline, sent_at + self.seconds)

    def lose(self, why: Lost) -> None:
        with self._lock:
            if self.lost is not None:
                return
            self.lost = why
            callbacks = list(self._on_lost)
        for callback in callbacks:
            callback()

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Called once, from any thread; at once when the lease is lost already."""
        with self._lock:
            if self.lost is None:
                self._on_lost.append(callback)
                return
        callback()

    def check(self) -> None:
        """Before a step that others will see. Raises LeaseGone."""
        if self.lost is None and self.left() <= 0:
            self.lose(Lost.LEASE_LOST)
        if self.lost is not None:
            raise LeaseGone(self.lost)

    async def guard(self, work: Awaitable[T]) -> T:
        """Run ``work`` under the lease: the moment it is lost the work is cancelled. Raises LeaseGone."""
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()

        def cancel() -> None:
            loop.call_soon_threadsafe(task.cancel)

        self.on_lost(cancel)
        try:
            return await task
        except asyncio.CancelledError:
            if self.lost is not None and task.done():
                raise LeaseGone(self.lost) from None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise


class LeaseKeeper:
    """Sends the heartbeats of every lease that it was given. Start and stop through :func:`keeping`."""

    def __init__(
        self,
        connect: Callable[[], RunnerDeployClient],
        runner_id: str,
        *,
        every: float,
        crashed: Callable[[], None] = lambda: None,
    ) -> None:
        """``crashed`` is called, from the thread, with every unexpected error that a heartbeat met."""
        self._crashed = crashed
        self._connect, self._runner_id, self._every = connect, runner_id, every
        self._loop = asyncio.new_event_loop()
        self._client: RunnerDeployClient | None = None
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._nudges: dict[int, asyncio.Event] = {}

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; leases still held get no more heartbeats."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def add(self, lease: Lease) -> None:
        self._loop.call_soon_threadsafe(self._begin, lease)

    def drop(self, lease: Lease) -> None:
        self._loop.call_soon_threadsafe(self._end, lease)

    def phase(self, lease: Lease, phase: Phase, message: str | None = None) -> None:
        """Tell the control plane what the runner is busy with, now and without waiting for it."""
        lease.phase, lease.message = phase, message
        self._loop.call_soon_threadsafe(self._nudge, lease)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _begin(self, lease: Lease) -> None:
        try:
            self._client = self._client or self._connect()
        except Exception:  # noqa: BLE001  # without heartbeats there is no lease: the job ends now and not unseen later
            self._failed(lease)
            lease.lose(Lost.LEASE_LOST)
            return
        self._nudges[id(lease)] = asyncio.Event()
        self._tasks[id(lease)] = self._loop.create_task(self._keep(lease, self._client))

    def _end(self, lease: Lease) -> None:
        self._nudges.pop(id(lease), None)
        if task := self._tasks.pop(id(lease), None):
            task.cancel()

    def _nudge(self, lease: Lease) -> None:
        if event := self._nudges.get(id(lease)):
            event.set()

    async def _close(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client:
            await self._client.close()

    async def _keep(self, lease: Lease, client: RunnerDeployClient) -> None:
        every = min(self._every, lease.seconds / 3)
        # The first heartbeat is sent at once: from it on the lease is counted exactly.
        self._nudges[id(lease)].set()
        while lease.lost is None:
            await self._pause(lease, every)
            if lease.left() <= 0:
                lease.lose(Lost.LEASE_LOST)
                return
            # A heartbeat that hangs must not outlive the lease: it has only the time that is left.
            try:
                async with asyncio.timeout(max(0.1, min(5.0, lease.left()))):
                    await self._heartbeat(lease, client)
            except TimeoutError:
                continue
            except Exception:  # noqa: BLE001  # the next one may succeed; without one the lease ends in time
                self._failed(lease)

    def _failed(self, lease: Lease) -> None:
        log.get("runner").exception("heartbeat.crashed", job_id=lease.job_id)
        self._crashed()

    async def _pause(self, lease: Lease, every: float) -> None:
        nudge = self._nudges[id(lease)]
        try:
            async with asyncio.timeout(max(0.0, min(every, lease.left()))):
                await nudge.wait()
        except TimeoutError:
            return
        nudge.clear()

    async def _heartbeat(self, lease: Lease, client: RunnerDeployClient) -> None:
        sent_at = time.monotonic()
        given = HeartbeatJob(
            runner_id=self._runner_id,
            extend_seconds=lease.seconds,
            phase=lease.phase,
            phase_message=lease.message,
            lease_token=lease.token,
        )
        try:
            job = await client.heartbeat(lease.job_id, given)
        except FunaiError as e:
            if e.code in (404, 409):
                lease.lose(Lost.LEASE_LOST)
            else:
                log.get("runner").warning("heartbeat.failed", job_id=lease.job_id, error=str(e), left=round(lease.left(), 1))
            return
        if job.status is lease.reported:
            return
        if lost := verdict(job.status):
            lease.lose(lost)
        else:
            lease.extended(sent_at)


@asynccontextmanager
async def keeping(leases: LeaseKeeper) -> AsyncIterator[LeaseKeeper]:
    leases.start()
    try:
        yield leases
    finally:
        await asyncio.to_thread(leases.stop)
