"""A job's log on its way to Deploy: appended by byte offset, so that a lost answer or a reconnect repeats nothing.

Text is cut at line ends where it can be, secrets are masked before anything leaves, and a Deploy that is away for a
moment only delays it. A Deploy without the call (an older one) gets no log and the job goes on.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from funai.base.clients.deploy import RunnerDeployClient
from funai.base.observability import log
from funai.base.observability.redact import Redactor
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import LOG_CHUNK_BYTES, AppendLog
from funai.contracts.reasons import Reason

SEND_BYTES = LOG_CHUNK_BYTES // 2
PARTIAL_LINE = 8 * 1024
FLUSH_SECONDS = 0.15
RETRY_SECONDS = 1.0
MAX_PENDING = 4 * 1024 * 1024
"""Bytes kept while Deploy is away; what comes beyond is dropped with a note."""


class LogStream:
    """``write`` never waits for the network. Use through :func:`streaming`."""

    def __init__(
        self,
        client: RunnerDeployClient,
        runner_id: str,
        job_id: int | str,
        *,
        token: str | None,
        resume: bool,
        redact: Redactor,
    ) -> None:
        self._client, self._runner_id, self._job_id, self._token = client, runner_id, job_id, token
        self._redact = redact
        self._lines = redact.stream(PARTIAL_LINE)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._ready: list[bytes] = []
        self._pending = 0
        self._dropped = 0
        self._offset: int | None = None if resume else 0
        self._in_flight = b""
        self._wake = asyncio.Event()
        self._dead = isinstance(job_id, str)  # a Deploy whose ids are texts keeps no logs

    def write(self, data: bytes) -> None:
        """Bytes of a program's output, as they come."""
        # NUL is legal UTF-8 but no database's text column takes it; it goes first, or it would hide a secret.
        self._take(self._lines.feed(self._decoder.decode(data).replace("\x00", "")))

    def line(self, text: str) -> None:
        """A line of the runner's own."""
        self._flush_partial()
        self._take(self._redact(text.replace("\x00", "")) + "\n")

    def _take(self, text: str) -> None:
        if not text:
            return
        data = text.encode("utf-8", "replace")
        if self._dead or self._pending + len(data) > MAX_PENDING:
            self._dropped += len(data)
            return
        self._ready.append(data)
        self._pending += len(data)
        self._wake.set()

    def _flush_partial(self) -> None:
        if text := self._lines.rest():
            self._take(text if text.endswith("\n") else text + "\n")

    def _next_chunk(self) -> bytes:
        out = bytearray()
        while self._ready and len(out) < SEND_BYTES:
            piece = self._ready.pop(0)
            room = SEND_BYTES - len(out)
            if len(piece) > room:
                room = _char_boundary(piece, room)
                self._ready.insert(0, piece[room:])
                piece = piece[:room]
                out += piece
                break
            out += piece
        return bytes(out)

    async def _send_all(self) -> None:
        # A chunk stays in flight until it is settled: the next sender repeats it at the same offset.
        while not self._dead and (chunk := self._in_flight or self._next_chunk()):
            self._in_flight = chunk
            if not await self._send(chunk):
                await asyncio.sleep(RETRY_SECONDS)
                continue
            self._in_flight = b""
            self._pending -= len(chunk)

    async def _send(self, chunk: bytes) -> bool:
        """True when the chunk is settled (stored, or there is no log to store it in)."""
        try:
            if self._offset is None:
                self._offset = await self._append(0, b"")
            self._offset = await self._append(self._offset, chunk)
        except FunaiError as e:
            if e.reason == Reason.LOG_GAP:
                self._offset = None
                return False
            if e.code in (400, 403, 404, 405, 409, 413):
                self._dead = True
                log.get("runner").info("joblog.off", job_id=self._job_id, error=str(e))
                return True
            return False
        return True

    async def _append(self, offset: int, chunk: bytes) -> int:
        body = AppendLog(runner_id=self._runner_id, offset=offset, chunk=chunk.decode(), lease_token=self._token)
        return await self._client.append_log(self._job_id, body)

    async def run(self) -> None:
        """Send until cancelled; output is gathered for a moment so that a busy build makes few calls."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._send_all()
            await asyncio.sleep(FLUSH_SECONDS)

    async def finish(self, timeout: float) -> None:
        """Send what is left, within ``timeout`` seconds."""
        self._flush_partial()
        if self._dropped:
            self._pending = 0
            self.line(f"[… {self._dropped} bytes of output dropped / 已丢弃 {self._dropped} 字节输出]")
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._send_all()


def _char_boundary(data: bytes, at: int) -> int:
    """The largest cut ≤ ``at`` that splits no UTF-8 character."""
    while at > 0 and data[at] & 0xC0 == 0x80:
        at -= 1
    return at


@asynccontextmanager
async def streaming(stream: LogStream, *, finish: float = 5) -> AsyncIterator[LogStream]:
    """Send in the background while the context is open; on leaving, the rest gets ``finish`` seconds."""
    task = asyncio.create_task(stream.run(), name="joblog")
    try:
        yield stream
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.shield(stream.finish(finish))
