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

    A command that was sent is seen to its end, whatever became of its caller: until HAProxy has answered it, or its
    connection broke, no other command is sent. So what is read afterwards holds what the command did.
    """

    def __init__(self, socket: Path, *, timeout: float = 5.0) -> None:
        self._socket, self._timeout = socket, timeout
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._sent = False

    async def ask(self, command: str, payload: str | None = None) -> str:
        """The answer's text, without surrounding blank space. ``payload`` may not hold an empty line.

        Raises RuntimeApiError; an error that HAProxy reports is an answer.
        """
        message = f"{command}\n" if payload is None else f"{command} <<\n{payload.rstrip()}\n\n"
        exchange: asyncio.Task[str] | None = None
        try:
            async with asyncio.timeout(self._timeout):
                await self._lock.acquire()
                self._sent = False
                exchange = asyncio.create_task(self._exchange(message), name="gateway:runtime-api")
                exchange.add_done_callback(self._over)
                answer = await asyncio.shield(exchange)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as e:
            raise RuntimeApiError(f"{self._socket}: {command.split(' ', 1)[0]}: {e or type(e).__name__}") from e
        finally:
            if exchange and not exchange.done() and not self._sent:
                exchange.cancel()
        return answer if payload is None else _MORE.sub("", answer)

    async def _exchange(self, message: str) -> str:
        reader, writer = self._streams or await self._open()
        self._sent = True
        writer.write(message.encode())
        return await _until_prompt(reader)

    def _over(self, exchange: asyncio.Task[str]) -> None:
        """The next command may be sent; an answer that was not read to its end must not be taken for that one's."""
        if exchange.cancelled() or exchange.exception():
            self.close()
        self._lock.release()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        streams = await asyncio.open_unix_connection(str(self._socket), limit=_LIMIT)
        self._streams = streams
        streams[1].write(b"prompt\n")
        await _until_prompt(streams[0])
        return streams

    def close(self) -> None:
        """Drop the connection, and with it a command that is under way; the next one opens another. Idempotent."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].transport.abort()


async def _until_prompt(reader: asyncio.StreamReader) -> str:
    raw = await reader.readuntil(_PROMPT)
    return raw[: -len(_PROMPT)].decode("utf-8", "replace").strip()
