"""A tiny HTTP server for the gateway's own pages, for a Traefik that can't make them itself.

``/stopped`` and ``/starting`` are those pages; every other path is the unknown-app page.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress

from funai.base.http.app import TRACE_HEADER, pick_language
from funai.contracts.routes import GatewayError
from funai.gateway.pages import pages
from funai.gateway.pages.pages import Page

_PAGES = {"/stopped": pages.STOPPED, "/starting": pages.STARTING}
_HEAD_SECONDS = 5.0
_HEAD_BYTES = 64 * 1024


def answer(head: str, *, retry_after: int, trace: str) -> bytes:
    """The whole response to a request's head. Pure."""
    first, *lines = head.split("\r\n")
    words = first.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    path = words[1].partition("?")[0] if len(words) > 1 else "/"
    page = _PAGES.get(path, pages.UNKNOWN)
    body, kind = _body(page, headers, retry_after, trace)
    out = [
        f"HTTP/1.1 {page.status} {'Not Found' if page.status == 404 else 'Service Unavailable'}",
        f"Content-Type: {kind}; charset=utf-8",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        f"{TRACE_HEADER}: {trace}",
        "Connection: close",
    ]
    if page is pages.STARTING:
        out.append(f"Retry-After: {retry_after}")
    return "\r\n".join(out).encode() + b"\r\n\r\n" + (b"" if words[0] == "HEAD" else body)


def _body(page: Page, headers: dict[str, str], retry_after: int, trace: str) -> tuple[bytes, str]:
    if "application/json" in headers.get("accept", "").lower():
        language = pick_language(headers.get("accept-language"))
        return pages.as_json(page, language, trace=trace).encode(), "application/json"
    return pages.as_html(page, trace=trace, refresh_seconds=retry_after).encode(), "text/html"


class PageServer:
    """Lifecycle: :meth:`start` → :meth:`close`."""

    def __init__(self, host: str, port: int, *, retry_after: int) -> None:
        self._host, self.port, self._retry_after = host, port, retry_after
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; port 0 takes a free one. Raises GatewayError."""
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self.port, limit=_HEAD_BYTES)
        except OSError as e:
            raise GatewayError(f"the page server can't listen on {self._host}:{self.port}: {e.strerror or e}") from e
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Idempotent."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(answer(head.decode("latin-1"), retry_after=self._retry_after, trace=secrets.token_hex(8)))
                await writer.drain()
        writer.close()
