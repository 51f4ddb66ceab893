"""A small app to stand behind the gateway: it says what it was asked, streams, counts uploads, speaks WebSocket."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_WS_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Request:
    method: str
    target: str
    headers: list[tuple[str, str]]

    def header(self, name: str) -> str | None:
        values = [v for k, v in self.headers if k == name]
        return ", ".join(values) if values else None


@dataclass
class Upstream:
    """``answers``: path → raw header lines and body to answer with, beside the built-in paths."""

    name: str
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    answers: dict[str, tuple[str, list[str], bytes]] = field(default_factory=dict)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    """Lets ``/hold`` answer, ``/sse`` go on and ``/last-words`` close."""
    connections: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await self._one(reader, writer):
                pass
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        request = Request(method, target, [(k.lower(), v.strip()) for k, _, v in (ln.partition(":") for ln in lines if ln)])
        self.requests.append(request)
        path = target.partition("?")[0]
        if path in self.answers:
            await self._take(request, reader)
            status, headers, body = self.answers[path]
            return await _answer(writer, body, status, headers)
        if path == "/ws":
            return await self._websocket(request, reader, writer)
        if path == "/chat":
            return await self._chat(request, reader, writer)
        if path == "/sse":
            return await self._events(writer)
        if path == "/hold":
            await self.release.wait()
        if path == "/hold-and-cut":
            await self.release.wait()
            return False
        if path == "/cut":
            return False
        if path == "/half":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            await writer.drain()
            return False
        if path == "/early":
            await _answer(writer, b"too large", "413 Payload Too Large")
            await self._take(request, reader)
            return True
        if path == "/upload":
            return await _answer(writer, str(await self._take(request, reader)).encode())
        await self._take(request, reader)
        said = {"app": self.name, "method": method, "target": target, "headers": request.headers}
        return await _answer(writer, json.dumps(said).encode())

    async def _take(self, request: Request, reader: asyncio.StreamReader) -> int:
        """Read the body without keeping it; answers its length."""
        taken = 0
        if request.header("transfer-encoding") == "chunked":
            while size := int((await reader.readline()).split(b";")[0], 16):
                taken += len(await reader.readexactly(size))
                await reader.readexactly(2)
            await reader.readline()
            return taken
        left = int(request.header("content-length") or 0)
        while taken < left:
            piece = await reader.read(min(1 << 20, left - taken))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left - taken)
            taken += len(piece)
        return taken

    async def _events(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(3):
            event = f"data: {n}\n\n".encode()
            writer.write(b"%x\r\n%s\r\n" % (len(event), event))
            await writer.drain()
            await self.release.wait()
            self.release.clear()
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _chat(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """A WebSocket as browsers speak it: one short text, answered with ``<app>: <text>``."""
        self._accept(request, writer)
        head = await reader.readexactly(6)
        mask, length = head[2:6], head[1] & 0x7F
        text = bytes(b ^ mask[n % 4] for n, b in enumerate(await reader.readexactly(length)))
        said = f"{self.name}: ".encode() + text
        writer.write(bytes([0x81, len(said)]) + said)
        await writer.drain()
        await reader.read()
        return False

    def _accept(self, request: Request, writer: asyncio.StreamWriter) -> None:
        key = (request.header("sec-websocket-key") or "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _WS_KEY).digest()).decode()
        writer.write(
            f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )

    async def _websocket(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        self._accept(request, writer)
        while piece := await reader.read(4096):
            writer.write(b"echo:" + piece)
            await writer.drain()
        return False


async def _answer(writer: asyncio.StreamWriter, body: bytes, status: str = "200 OK", headers: list[str] | None = None) -> bool:
    lines = [f"HTTP/1.1 {status}", *(headers or ["Content-Type: application/json"]), f"Content-Length: {len(body)}"]
    writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
    await writer.drain()
    return True


@asynccontextmanager
async def running(name: str, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Upstream]:
    """Serve one while the context is open; on leaving, its connections are cut."""
    upstream = Upstream(name)
    open_writers: set[asyncio.StreamWriter] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_writers.add(writer)
        try:
            await upstream.handle(reader, writer)
        finally:
            open_writers.discard(writer)

    server = await asyncio.start_server(accept, host, port, limit=1 << 20)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for writer in list(open_writers):
            writer.transport.abort()
