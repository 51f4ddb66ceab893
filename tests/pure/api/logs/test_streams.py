"""What a reader of a stream is told when there is nothing to read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from funai.api.logs import streams
from funai.contracts.errors import CalleeFailed


class Away:
    """The way to a Deploy that isn't there."""

    @contextmanager
    def asking(self, **_: Any) -> Iterator[Any]:
        raise CalleeFailed("DEPLOY_UNREACHABLE")
        yield


async def test_the_last_word_is_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_MAX_FAILURES", 1)
    away: Any = Away()
    told = [e async for e in streams.Streams(away, away, asyncio.Event()).job_events(1, 0)]
    assert told[-1].startswith(b"event: error\n")
    assert CalleeFailed("DEPLOY_UNREACHABLE").message("zh") in told[-1].decode()
