"""Watching a job to its end: looks at it, streams its log, survives a lost connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from funai.base.clients.api import ApiClient
from funai.base.clients.transport import Unreachable
from funai.cli.output.loglines import Lines
from funai.cli.output.progress import Progress, Snapshot
from funai.cli.output.views import View
from funai.cli.sse import Decoder
from funai.contracts.errors import CalleeFailed, FunaiError, Unavailable
from funai.contracts.jobs import Job, LogSlice

LOOK_EVERY = 0.5
"""Seconds between looks at a job that is under way."""
GIVE_UP_AFTER = 60.0
"""Seconds without any answer after which the platform counts as unreachable."""
LOG_TAIL_WAIT = 5.0
"""Seconds the rest of the log may take after the job has ended."""


def snapshot(job: Job) -> Snapshot:
    """What the progress display needs of a job."""
    payload, result = job.payload, job.result
    phase, message = payload.get("phase"), payload.get("phaseMessage")
    return Snapshot(
        status=str(job.status),
        phase=str(phase) if phase else None,
        message=str(message) if message else None,
        queue_position=job.queue_position,
        reason=job.reason,
        attempt=job.attempt,
        phases_ms=result.phases_ms if result else None,
    )


class Retry:
    """Patience with a platform that is briefly away: waits longer and longer, gives up after ``GIVE_UP_AFTER`` seconds."""

    def __init__(self, view: View) -> None:
        self.view = view
        self._since: float | None = None
        self._pause = LOOK_EVERY

    def fine(self) -> None:
        self._since, self._pause = None, LOOK_EVERY

    async def after(self, error: FunaiError) -> None:
        """Wait before the next try; raises ``error`` when it went on for too long."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
            self.view.trouble(str(error))
        if now - self._since > GIVE_UP_AFTER:
            raise error
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, 5.0)


async def watch(api: ApiClient, job: Job, progress: Progress, view: View, *, logs: bool) -> Job:
    """Show the job until it ends; answers it as it ended. Raises the API's refusals, and Unreachable after a minute."""
    reader = asyncio.create_task(stream_log(api, job.id, 0, view.log, Retry(view))) if logs else None
    try:
        last = await _look_until_final(api, job, progress, view)
        if reader is not None:
            await asyncio.wait({reader}, timeout=LOG_TAIL_WAIT)
        return last
    finally:
        if reader is not None:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


async def _look_until_final(api: ApiClient, job: Job, progress: Progress, view: View) -> Job:
    retry = Retry(view)
    while True:
        view.changed(progress.observe(snapshot(job), time.monotonic()))
        if job.status.final:
            return job
        await asyncio.sleep(LOOK_EVERY)
        try:
            job = await api.job(job.id)
            retry.fine()
        except (Unreachable, CalleeFailed, Unavailable) as e:
            await retry.after(e)


async def stream_log(api: ApiClient, job_id: int, offset: int, line: Callable[[str], None], retry: Retry) -> int:
    """Hand every line of the log to ``line`` until the job has ended and all was said; answers the last byte offset."""
    lines = Lines()
    while True:
        try:
            async with api.job_log_stream(job_id, offset) as response:
                decoder = Decoder()
                async for raw in response.aiter_lines():
                    event = decoder.feed(raw)
                    if event and event.name == "error":
                        raise CalleeFailed(service="api", detail=event.data)
                    piece = slice_of(event.data) if event and event.name in ("log", "message") else None
                    if piece is not None:
                        retry.fine()
                        offset = piece.next_offset
                        for text in lines.feed(piece.chunk):
                            line(text)
                    if (piece and piece.final) or (event and event.name == "end"):
                        for text in lines.rest():
                            line(text)
                        return offset
        except (Unreachable, CalleeFailed, Unavailable) as e:
            await retry.after(e)
        else:
            await asyncio.sleep(LOOK_EVERY)


def slice_of(data: str) -> LogSlice | None:
    """An event's data as a slice; None when it is something else (a ping, a newer peer's words)."""
    try:
        return LogSlice.model_validate_json(data)
    except ValueError:
        return None
