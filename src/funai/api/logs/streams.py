"""Logs as streams: a job's log as Server-Sent Events, a container's output as plain text.

The events: ``log`` with a LogSlice, its id the byte offset to go on from (so that ``Last-Event-ID`` resumes); comments
that keep the line alive; ``end`` with the job's final status, after which nothing comes.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

import httpx

from funai.api.deploys.client_pool import DeployClientPool
from funai.api.deploys.presenters import shown
from funai.api.deploys.tracker import Tracker
from funai.base.aio import until
from funai.base.clients.transport import error_of
from funai.base.http.app import json_bytes, language
from funai.base.observability.redact import Redactor
from funai.contracts.errors import CalleeFailed, FunaiError
from funai.contracts.jobs import Job, LogSlice
from funai.contracts.reasons import Reason

HOLD_SECONDS = 10.0
"""Longest silence on a stream."""
SLICE_BYTES = 262_144
LONG_LINE = 8 * 1024
"""Characters of an app's line after which it is passed on before its end."""
_MAX_FAILURES = 30


class Streams:
    def __init__(self, control: DeployClientPool, tracker: Tracker, stop: asyncio.Event) -> None:
        """``stop`` ends every stream, so that a shutdown doesn't wait for the reader."""
        self.control, self.tracker, self.stop = control, tracker, stop
        self._readings: dict[tuple[int | str, int], _Reading] = {}

    async def job_slice(self, job_id: int | str, offset: int) -> LogSlice:
        with self.control.asking() as deploy:
            return await deploy.log(job_id, offset, limit=SLICE_BYTES)

    async def job_tail(self, job_id: int | str, limit: int) -> LogSlice:
        """The last ``limit`` bytes."""
        with self.control.asking() as deploy:
            return await deploy.log_tail(job_id, limit)

    async def job_events(self, job_id: int | str, offset: int) -> AsyncIterator[bytes]:
        """The whole stream from byte ``offset``, as SSE."""
        async with aclosing(self._events(job_id, offset)) as events:
            async for chunk in until(self.stop, events):
                yield chunk

    async def app_output(
        self, held: AsyncExitStack, user_id: int, app_id: int, tail: int, *, follow: bool
    ) -> tuple[AsyncIterator[bytes], str]:
        """A container's output (stdout and stderr) and its content type; ``held`` closes it. Raises NotFound, CalleeFailed."""
        params = {"userId": user_id, "appId": app_id, "tail": tail, "follow": "true" if follow else "false"}
        raw = self.control.followers.transport.raw
        # Followed output may be silent for as long as the app is.
        wait = httpx.Timeout(self.control.read_seconds, read=None if follow else 30, connect=3)
        try:
            response = await raw.send(raw.build_request("GET", "/deploy/apps/logs", params=params, timeout=wait), stream=True)
            held.push_async_callback(response.aclose)
            if response.status_code >= 400:
                await response.aread()
        except httpx.HTTPError as e:
            raise CalleeFailed(Reason.DEPLOY_UNREACHABLE) from e
        if response.status_code >= 400:
            with self.control.asking():
                raise error_of("deploy", response)
        return self._relay(response), response.headers.get("content-type", "text/plain; charset=utf-8")

    async def _events(self, job_id: int | str, offset: int) -> AsyncGenerator[bytes]:
        failures = 0
        yield b"retry: 2000\n\n"
        while True:
            try:
                part, job = await self._read(job_id, offset)
            except FunaiError as e:
                failures += 1
                if e.code not in (502, 503) or failures >= _MAX_FAILURES:
                    yield event("error", {"reason": e.reason, "message": e.message(language())})
                    return
                yield b": the deploy service is away, waiting\n\n"
                await asyncio.sleep(1)
                continue
            failures = 0
            if part.chunk:
                offset = part.next_offset
                yield event("log", part.to_wire(), event_id=offset)
            elif job is not None and job.status.final:
                await self.tracker.learn(job)
                yield event("end", final_word(job), event_id=offset)
                return
            else:
                yield b": keepalive\n\n"
                if part.final:
                    await asyncio.sleep(0.5)

    async def _read(self, job_id: int | str, offset: int) -> tuple[LogSlice, Job | None]:
        """The next part of the log, and the job once there is no more. Readers at the same offset share one request."""
        place = (job_id, offset)
        reading = self._readings.get(place)
        if reading is None:
            task = asyncio.create_task(self._ask(job_id, offset), name=f"log:{job_id}")
            reading = self._readings[place] = _Reading(task)
        reading.readers += 1
        try:
            return await asyncio.shield(reading.task)
        finally:
            reading.readers -= 1
            if self._readings.get(place) is reading and (reading.task.done() or not reading.readers):
                del self._readings[place]
            if not reading.readers:
                reading.task.cancel()

    async def _ask(self, job_id: int | str, offset: int) -> tuple[LogSlice, Job | None]:
        with self.control.asking(long=True) as deploy:
            part = await deploy.log(job_id, offset, wait=HOLD_SECONDS, limit=SLICE_BYTES)
            return part, await deploy.job(job_id) if part.final and not part.chunk else None

    async def _relay(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in until(self.stop, response.aiter_raw()):
                yield chunk
        except httpx.HTTPError:
            return  # the container or its node went away: the text ends here


@dataclass(slots=True)
class _Reading:
    """A request for a part of a log, and how many wait for its answer."""

    task: asyncio.Task[tuple[LogSlice, Job | None]]
    readers: int = 0


async def masked(output: AsyncIterator[bytes], secrets: Sequence[str]) -> AsyncIterator[bytes]:
    """An app's output without its secrets; passed on as it comes when there are none."""
    if not secrets:
        async for piece in output:
            yield piece
        return
    decoder, lines = codecs.getincrementaldecoder("utf-8")("replace"), Redactor(secrets).stream(LONG_LINE)
    async for piece in output:
        if text := lines.feed(decoder.decode(piece)):
            yield text.encode()
    if text := lines.feed(decoder.decode(b"", final=True)) + lines.rest():
        yield text.encode()


def final_word(job: Job) -> dict[str, object]:
    """The ``end`` event's data."""
    seen = shown(job)
    failure = seen.failure.to_wire() if seen.failure else None
    return {
        "jobId": seen.id,
        "status": seen.status.value,
        "errorMessage": seen.error_message,
        "deployUrl": seen.deploy_url,
        "accessUrl": seen.access_url,
        "failure": failure,
    }


def event(name: str, data: dict[str, object], *, event_id: int | None = None) -> bytes:
    """One Server-Sent Event; JSON has no raw line breaks, so one ``data`` line holds it."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\n".encode() + b"data: " + json_bytes(data) + b"\n\n"
