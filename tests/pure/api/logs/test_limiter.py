"""A user's followed logs are counted, and given back however they end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funai.api.logs.limiter import StreamLimiter
from funai.contracts.errors import TooMany


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x"


async def test_a_seat_is_held_while_read_and_given_back_at_the_end() -> None:
    seats = StreamLimiter(2)
    held = [seats.seated(1, endless()) for _ in range(2)]
    for stream in held:
        seats.check(1)
        assert await anext(stream) == b"x"
    with pytest.raises(TooMany, match="at most 2"):
        seats.check(1)
    seats.check(2)
    await held[0].aclose()  # type: ignore[attr-defined]
    seats.check(1)
    await held[1].aclose()  # type: ignore[attr-defined]
