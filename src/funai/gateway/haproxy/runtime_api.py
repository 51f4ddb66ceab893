"""A client of HAProxy's runtime API: one command, one answer, over its unix socket."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

_PROMPT = b"\n> "
_MORE = re.compile(r"^(?:\+ ?)+")
"""Its prompt for each line of a payload."""
_LIMIT = 64 * 1024 * 1024


class RuntimeApiError(Exception):
    """The socket could not be reached, closed early, or did not answer in time."""


class RuntimeApi:
    """Keeps one connection and sends one command at a time over it; reconnects by itself.

    After any failure or cancellation the connection is dropped: an answer that nobody read must not be taken for the
    next command's.
    """

    def __init__(self, socket: Path, *, timeout: float = 5.0) -> None:
        self._socket, self._timeout = socket, timeout
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, command: str, payload: str | None = None) -> str:
        """The answer's text, without surrounding blank space. ``payload`` may not hold an empty line.

        Raises RuntimeApiError; an error that HAProxy reports is an answer.
        """
        message = f"{command}\n" if payload is None else f"{command} <<\n{payload.rstrip()}\n\n"
        async with self._lock:
            done = False
            try:
                async with asyncio.timeout(self._timeout):
                    reader, writer = self._streams or await self._open()
                    writer.write(message.encode())
                    answer = await _until_prompt(reader)
                    if payload is not None:
                        answer = _MORE.sub("", answer)
                done = True
                return answer
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as e:
                raise RuntimeApiError(f"{self._socket}: {command.split(' ', 1)[0]}: {e or type(e).__name__}") from e
            finally:
                if not done:
                    self.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await asyncio.open_unix_connection(str(self._socket), limit=_LIMIT)
        self._streams = streams
        streams[1].write(b"prompt\n")
        await _until_prompt(streams[0])
        return streams

    def close(self) -> None:
        """Drop the connection; the next command opens another. Idempotent."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


async def _until_prompt(reader: asyncio.StreamReader) -> str:
    raw = await reader.readuntil(_PROMPT)
    return raw[: -len(_PROMPT)].decode("utf-8", "replace").strip()
