"""The engine's calls that last as long as a container: waiting for its end, following its log.

The SDK would hold a thread for each, and a thread can't be cancelled. These speak the same HTTP over the same socket
asynchronously.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx

from funai.agent.engine.contract import EngineRefused, EngineUnreachable, NoSuchContainer

HEADER = 8
"""Bytes before each piece of a log: the stream's number, three zeros, the length (big-endian)."""


class LongCalls:
    def __init__(self, socket: str) -> None:
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=socket, limits=httpx.Limits(max_keepalive_connections=0)),
            base_url="http://engine", timeout=httpx.Timeout(None, connect=5),
        )  # fmt: skip

    async def next_exit(self, id: str) -> int:
        """The exit code at the container's next end. Raises NoSuchContainer, EngineUnreachable."""
        try:
            answer = await self._http.post(f"/containers/{id}/wait", params={"condition": "next-exit"})
            _check(answer.status_code, answer.text)
            return int(answer.json()["StatusCode"])
        except (httpx.HTTPError, ValueError, KeyError) as e:
            raise EngineUnreachable(str(e) or type(e).__name__) from e

    async def follow(self, id: str, *, tail: int | None) -> AsyncIterator[bytes]:
        """stdout and stderr as they come, until the container ends."""
        params: dict[str, Any] = {"follow": "true", "stdout": "true", "stderr": "true", "tail": "all" if tail is None else tail}
        try:
            async with self._http.stream("GET", f"/containers/{id}/logs", params=params) as answer:
                if answer.status_code >= 400:
                    _check(answer.status_code, (await answer.aread()).decode("utf-8", "replace"))
                buffer = bytearray()
                async for piece in answer.aiter_raw():
                    buffer.extend(piece)
                    if payload := unframe(buffer):
                        yield payload
        except httpx.HTTPError as e:
            raise EngineUnreachable(str(e) or type(e).__name__) from e

    async def close(self) -> None:
        await self._http.aclose()


def unframe(buffer: bytearray) -> bytes:
    """Take the whole frames out of ``buffer``, leave the rest; answers their payloads joined."""
    out = bytearray()
    while len(buffer) >= HEADER:
        length = int.from_bytes(buffer[4:HEADER], "big")
        if len(buffer) < HEADER + length:
            break
        out += buffer[HEADER : HEADER + length]
        del buffer[: HEADER + length]
    return bytes(out)


def _check(status: int, text: str) -> None:
    if status == 404:
        raise NoSuchContainer(text[:400])
    if status >= 400:
        raise EngineRefused(text[:400])
