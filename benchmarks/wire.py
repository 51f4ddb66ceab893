"""A bare HTTP/1.1 client over one kept connection, so that a benchmark measures the server and not its own client."""

from __future__ import annotations

import asyncio
import json
from typing import Any


class Wire:
    """One connection, one request at a time. ``requests`` counts them."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self.port, self.requests = port, 0
        self._head = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """The envelope's ``data``; raises RuntimeError with the answer when it isn't 200."""
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{self._head}"
        if data:
            head += f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n"
        self.requests += 1
        writer.write(head.encode() + b"\r\n" + data)
        status = int((await reader.readline()).split()[1])
        length = 0
        while (line := await reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        answer = await reader.readexactly(length)
        if status != 200:
            raise RuntimeError(f"{method} {path}: {status} {answer[:300]!r}")
        return json.loads(answer)["data"]

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
