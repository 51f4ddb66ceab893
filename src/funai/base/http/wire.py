"""uvicorn's HTTP protocol with two habits of ours (docs/decisions/queue-measured.md).

One write an answer: uvicorn hands head and body to the kernel one after the other, which costs two system calls here and
wakes the reader twice. And requests that the app lets wait for company are parsed together (:mod:`funai.base.http.gather`).
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from funai.base.http.gather import LARGEST, Gather

LARGE = 64 * 1024
"""Bytes that are not worth copying together."""


class _Gathering:
    """A transport that sends what one turn of the loop wrote in one piece; everything else is the transport's own."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._parts: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)
        self._size += len(data)
        if self._size >= LARGE:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol takes the connection over (an upgrade)."""
        self._flush()
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))


class WireProtocol(HttpToolsProtocol):
    """uvicorn's own HTTP protocol on such a transport. ``gather``: what the app lets wait."""

    def __init__(self, *args: Any, gather: Gather | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._gather = gather
        self._kept = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(cast("asyncio.Transport", _Gathering(transport, self.loop)))

    def data_received(self, data: bytes) -> None:
        if self._kept:
            self._kept += data
            if len(self._kept) > LARGEST:
                self.read_now()
        elif self._gather is not None and self._gather.takes(data, self):
            self._unset_keepalive_if_required()
            self._kept = data
        else:
            super().data_received(data)

    def eof_received(self) -> None:
        self.read_now()
        super().eof_received()

    def read_now(self) -> None:
        data, self._kept = self._kept, b""
        if data and not self.transport.is_closing():
            super().data_received(data)
