"""Logs as streams: a job's log as Server-Sent Events, a container's output as plain text.

The events: ``log`` with a LogSlice, its id the byte offset to go on from (so that ``Last-Event-ID`` resumes); comments
that keep the line alive; ``end`` with the job's final status, after which nothing comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx

from funai.api.deploys.client_pool import DeployClientPool
from funai.api.deploys.presenters import shown
from funai.api.deploys.tracker import Tracker
from funai.base.clients.transport import error_of
from funai.base.http.app import json_bytes, language
from funai.contracts.errors import CalleeFailed, FunaiError
from funai.contracts.jobs import Job, LogSlice

HOLD_SECONDS = 10.0
"""Longest silence on a stream."""
SLICE_BYTES = 262_144
_MAX_FAILURES = 30


class Streams:
    def __init__(self, control: DeployClientPool, tracker: Tracker, stop: asyncio.Event) -> None:
        """``stop`` ends every stream, so that a shutdown doesn't wait for the reader."""
        self.control, self.tracker, self.stop = control, tracker, stop

    async def job_slice(self, job_id: int, offset: int) -> LogSlice:
        with self.control.asking() as deploy:
            return await deploy.log(job_id, offset, limit=SLICE_BYTES)

    async def job_tail(self, job_id: int, limit: int) -> LogSlice:
        """The last ``limit`` bytes."""
        with self.control.asking() as deploy:
            return await deploy.log_tail(job_id, limit)

    async def job_events(self, job_id: int, offset: int) -> AsyncIterator[bytes]:
        """The whole stream from byte ``offset``, as SSE."""
        async with aclosing(self._events(job_id, offset)) as events:
            async for chunk in until(self.stop, events):
                yield chunk

    async def app_output(self, user_id: int, app_id: int, tail: int, *, follow: bool) -> tuple[AsyncIterator[bytes], str]:
        """A container's output (stdout and stderr) and its content type. Raises NotFound, CalleeFailed."""
        params = {"userId": user_id, "appId": app_id, "tail": tail, "follow": "true" if follow else "false"}
        raw = self.control.followers.transport.raw
        # Followed output may be silent for as long as the app is.
        wait = httpx.Timeout(self.control.read_seconds, read=None if follow else 30, connect=3)
        try:
            response = await raw.send(raw.build_request("GET", "/deploy/apps/logs", params=params, timeout=wait), stream=True)
        except httpx.HTTPError as e:
            raise CalleeFailed("DEPLOY_UNREACHABLE") from e
        if response.status_code >= 400:
            try:
                await response.aread()
            finally:
                await response.aclose()
            with self.control.asking():
                raise error_of("deploy", response)
        return self._relay(response), response.headers.get("content-type", "text/plain; charset=utf-8")

    async def _events(self, job_id: int, offset: int) -> AsyncGenerator[bytes]:
        failures = 0
        yield b"retry: 2000\n\n"
        while True:
            try:
                with self.control.asking(long=True) as deploy:
                    part = await deploy.log(job_id, offset, wait=HOLD_SECONDS, limit=SLICE_BYTES)
                    job = await deploy.job(job_id) if part.final and not part.chunk else None
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

    async def _relay(self, response: httpx.Response) -> AsyncIterator[bytes]:
        try:
            async for chunk in until(self.stop, response.aiter_raw()):
                yield chunk
        except httpx.HTTPError:
            return  # the container or its node went away: the text ends here
        finally:
            await response.aclose()


def final_word(job: Job) -> dict[str, Any]:
    """The ``end`` event's data."""
    seen = shown(job)
    failure = seen.failure.to_wire() if seen.failure else None
    return {
        "jobId": seen.id, "status": seen.status.value, "errorMessage": seen.error_message, "deployUrl": seen.deploy_url,
        "accessUrl": seen.access_url,
        "failure": failure,
    }  # fmt: skip


def event(name: str, data: dict[str, Any], *, event_id: int | None = None) -> bytes:
    """One Server-Sent Event; JSON has no raw line breaks, so one ``data`` line holds it."""
    head = f"id: {event_id}\n" if event_id is not None else ""
    return f"{head}event: {name}\n".encode() + b"data: " + json_bytes(data) + b"\n\n"


async def until(stop: asyncio.Event, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What ``chunks`` yields, until it ends or ``stop`` is set."""
    stopped = asyncio.create_task(stop.wait())
    upcoming: asyncio.Task[bytes] | None = None
    try:
        while True:
            upcoming = asyncio.create_task(_next(chunks))
            await asyncio.wait({upcoming, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                return
            try:
                chunk = upcoming.result()
            except _EndOfStream:
                return
            yield chunk
    finally:
        for task in (stopped, upcoming):
            if task is not None:
                task.cancel()
        await asyncio.gather(stopped, *([upcoming] if upcoming else []), return_exceptions=True)


class _EndOfStream(Exception):
    """StopAsyncIteration can't be a task's result."""


async def _next(chunks: AsyncIterator[bytes]) -> bytes:
    try:
        return await anext(chunks)
    except StopAsyncIteration:
        raise _EndOfStream from None
