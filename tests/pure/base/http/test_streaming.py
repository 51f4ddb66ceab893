"""A streamed response lets go of what it holds, however it ends."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from funai.base.http.streaming import HeldStream


async def body() -> AsyncIterator[bytes]:
    yield b"one"


async def receive() -> Any:
    return {"type": "http.disconnect"}


@pytest.mark.parametrize("gone", [False, True])
async def test_held_stream_closes_what_it_holds_also_when_the_client_left_first(gone: bool) -> None:
    closed: list[bool] = []
    held = AsyncExitStack()
    held.callback(closed.append, True)

    async def send(_: Any) -> None:
        if gone:
            raise OSError

    scope = {"type": "http", "asgi": {"spec_version": "2.4"}}
    response = HeldStream(body(), held, media_type="text/plain")
    if gone:
        with pytest.raises(ClientDisconnect):
            await response(scope, receive, send)
    else:
        await response(scope, receive, send)
    assert closed == [True]
