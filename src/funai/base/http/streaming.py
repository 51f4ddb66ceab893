"""Responses that stream and hold something open meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from contextlib import AsyncExitStack

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class HeldStream(StreamingResponse):
    """Closes ``held`` however the stream ends, also when the client left before it began.

    A generator's own ``finally`` doesn't do: one that was never started is never closed.
    """

    def __init__(
        self, body: AsyncIterable[bytes], held: AsyncExitStack, *, media_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(body, media_type=media_type, headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)
