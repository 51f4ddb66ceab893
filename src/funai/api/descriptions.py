"""The API's description for people beside the console: scripts of another server must not act as the console does.

FastAPI's pages (``/docs``, ``/redoc``) load their scripts from a CDN. On the console's origin these could send its forms with
the visitor's session; so the pages get an origin of their own (``sandbox``), which may still read the description.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PAGES = ("/docs", "/redoc")
DESCRIPTION = "/openapi.json"


class SandboxedDescriptions:
    """ASGI middleware for a process that serves the console too."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith((*PAGES, DESCRIPTION)):
            await self.app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if path == DESCRIPTION:
                    headers.setdefault("Access-Control-Allow-Origin", "*")
                else:
                    headers["Content-Security-Policy"] = "sandbox allow-scripts allow-popups; frame-ancestors 'none'"
            await send(message)

        await self.app(scope, receive, sending)
