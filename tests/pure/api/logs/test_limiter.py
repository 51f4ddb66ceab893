"""Followed logs are counted, by user and in all, and given back however they end."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from funai.api.logs.limiter import StreamLimiter
from funai.contracts.errors import TooMany


def test_seat_of_a_user_with_all_of_theirs_taken_is_refused() -> None:
    seats = StreamLimiter(2, 10)
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(seats.seat(1))
        with pytest.raises(TooMany, match="at most 2"):
            held.enter_context(seats.seat(1))
        held.enter_context(seats.seat(2))
        assert seats.taken == 3
    assert seats.taken == 0


def test_seat_beyond_all_seats_is_refused_with_the_operators_setting() -> None:
    seats = StreamLimiter(2, 1)
    with seats.seat(1), pytest.raises(TooMany, match=r"funai\.limits\.log-streams"), seats.seat(2):
        pass
    with seats.seat(2):
        pass
