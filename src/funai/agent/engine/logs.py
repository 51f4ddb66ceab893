"""A container's output: out of the frames in which engines send it, or out of the file in which Podman keeps it.

Podman 4.3 answers its own log file wrongly: pieces of lines in another order (``tail``), a line above 8 KB without the end of
the line before it, a line lost when the file is begun anew (``follow``). So the file itself is read, where it can be.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

from funai.agent.engine import readings
from funai.agent.engine.client import OnEngine, again, mapped
from funai.agent.engine.contract import EngineRefused, NoSuchContainer, Phase

HEADER = 8
"""Bytes before each piece of a log: the stream's number, three zeros, the length (big-endian)."""


def unframe(buffer: bytearray) -> bytes:
    """Takes the whole frames out of ``buffer``, leaves the rest; returns their payloads joined."""
    out = bytearray()
    while len(buffer) >= HEADER:
        length = int.from_bytes(buffer[4:HEADER], "big")
        if len(buffer) < HEADER + length:
            break
        out += buffer[HEADER : HEADER + length]
        del buffer[: HEADER + length]
    return bytes(out)


class LastLines:
    """The last ``count`` lines of a framed log. Lines of stdout and stderr are put together apart, in the order of their ends.

    Podman 4.3 answers ``tail`` with pieces of lines in a wrong order, so all of a log is read and counted here.
    """

    def __init__(self, count: int) -> None:
        self._lines: deque[bytes] = deque(maxlen=count)
        self._buffer = bytearray()
        self._open: dict[int, bytes] = {}

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= HEADER:
            length = int.from_bytes(self._buffer[4:HEADER], "big")
            if len(self._buffer) < HEADER + length:
                return
            stream, payload = self._buffer[0], bytes(self._buffer[HEADER : HEADER + length])
            del self._buffer[: HEADER + length]
            *whole, rest = (self._open.get(stream, b"") + payload).split(b"\n")
            self._lines.extend(line + b"\n" for line in whole)
            self._open[stream] = rest

    def end(self) -> bytes:
        """The lines, with what each stream wrote without a line's end behind them."""
        self._lines.extend(rest for _, rest in sorted(self._open.items()) if rest)
        return b"".join(self._lines)


class K8sLines:
    """Lines out of conmon's format ``k8s-file``: ``TIME STREAM P|F TEXT``, where P is a piece of a line and F its end.

    Lines of stdout and stderr are put together apart. A line above ``LONGEST`` is given out in pieces.
    """

    LONGEST = 1 << 20

    def __init__(self) -> None:
        self._rest = b""
        self._open: dict[bytes, bytes] = {}

    def feed(self, data: bytes) -> list[bytes]:
        *rows, self._rest = (self._rest + data).split(b"\n")
        out: list[bytes] = []
        for row in rows:
            _, _, said = row.partition(b" ")
            stream, _, said = said.partition(b" ")
            tag, _, text = said.partition(b" ")
            line = self._open.pop(stream, b"") + text
            if tag[:1] == b"F":
                out.append(line + b"\n")
            elif len(line) >= self.LONGEST:
                out.append(line)
            else:
                self._open[stream] = line
        return out

    def end(self) -> list[bytes]:
        """What each stream wrote without a line's end."""
        return [rest for _, rest in sorted(self._open.items()) if rest]


PIECE = 256 * 1024
LOOK_SECONDS = 0.2
"""How often a followed file is looked at."""
ASK_EVERY = 5
"""So many looks without news come before the engine is asked whether the container still runs."""


async def read_file(
    path: Path, *, tail: int | None, follow: bool, running: Callable[[], Awaitable[bool]]
) -> AsyncIterator[bytes]:
    """What ``Engine.logs`` answers, from the log file. Goes on with the next file where conmon begins one. Raises OSError."""
    lines, last = K8sLines(), deque[bytes](maxlen=tail)
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while data := await asyncio.to_thread(file.read, PIECE):
            last.extend(lines.feed(data))
        if not follow:
            last.extend(lines.end())
        if last:
            yield b"".join(last)
        quiet = 0
        while follow:
            # Asked before the last look: what was written until then is read.
            over = quiet > 0 and quiet % ASK_EVERY == 0 and not await running()
            data, file = await asyncio.to_thread(_more, file, path)
            quiet = 0 if data else quiet + 1
            if whole := b"".join(lines.feed(data)):
                yield whole
            if over and not data:
                break
            if not data:
                await asyncio.sleep(LOOK_SECONDS)
        if follow and (rest := b"".join(lines.end())):
            yield rest
    finally:
        file.close()


def _more(file: BinaryIO, path: Path) -> tuple[bytes, BinaryIO]:
    """What was written since, and the file to read on: conmon puts a new one in the place of a full one."""
    if data := file.read(PIECE):
        return data, file
    try:
        replaced = not os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return b"", file
    # Nothing is written to the old one any more, but something may have been since the read above.
    if not replaced or (data := file.read(PIECE)):
        return data, file
    fresh = path.open("rb")
    file.close()
    return fresh.read(PIECE), fresh


class DockerLogs(OnEngine):
    async def logs(self, id: str, *, tail: int | None, follow: bool) -> AsyncIterator[bytes]:
        if file := await self._log_file(id):
            try:
                async for piece in read_file(file, tail=tail, follow=follow, running=partial(self._runs, id)):
                    yield piece
            except OSError as e:
                raise EngineRefused(f"the log {file} can't be read: {e.strerror}") from e
            return
        params = {"stdout": "1", "stderr": "1", "follow": str(int(follow)), "tail": "all" if tail is None else str(tail)}
        if tail is not None and not follow:
            last = LastLines(tail)
            async for piece in self._client.stream("GET", f"containers/{id}/logs", {**params, "tail": "all"}):
                last.feed(piece)
            yield last.end()
            return
        buffer = bytearray()
        async for piece in self._client.stream("GET", f"containers/{id}/logs", params, endless=follow):
            buffer.extend(piece)
            if payload := unframe(buffer):
                yield payload

    async def _log_file(self, id: str) -> Path | None:
        """Podman's, when it is one that can be read here."""
        if not await self._client.is_podman():
            return None
        with mapped():
            attrs = await again(lambda: self._api.containers.container(id).show())
        path = readings.log_file(attrs)
        return path if path is not None and await asyncio.to_thread(os.access, path, os.R_OK) else None

    async def _runs(self, id: str) -> bool:
        try:
            return (await self.inspect(id)).phase in (Phase.RUNNING, Phase.RESTARTING)
        except NoSuchContainer:
            return False
