"""Work raced with a stop, and work that is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from funai.base.aio import Stopped, periodic, unless, until
from funai.base.retry import retrying


async def test_unless_work_that_ends_first_is_its_result() -> None:
    async def work() -> int:
        return 7

    assert await unless(asyncio.Event(), work()) == 7


async def test_unless_a_stop_that_comes_first_cancels_the_work_and_waits_for_its_end() -> None:
    stop, ended = asyncio.Event(), False

    async def work() -> None:
        nonlocal ended
        stop.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended = True

    with pytest.raises(Stopped):
        await unless(stop, work())
    assert ended


async def test_unless_work_that_ends_well_in_spite_of_the_stop_is_not_lost() -> None:
    stop = asyncio.Event()

    async def claim() -> str:
        stop.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "a job"
        raise AssertionError

    assert await unless(stop, claim()) == "a job"


async def test_unless_a_future_that_stops_work_stays_usable() -> None:
    exited: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> int:
        return 1

    assert await unless(exited, work()) == 1
    assert not exited.cancelled()
    exited.set_result(137)
    with pytest.raises(Stopped):
        await unless(exited, asyncio.Event().wait())
    assert exited.result() == 137


async def test_until_ends_with_its_items_or_with_the_stop() -> None:
    stop = asyncio.Event()

    async def two() -> AsyncIterator[int]:
        yield 1
        yield 2

    async def endless() -> AsyncIterator[int]:
        yield 1
        stop.set()
        await asyncio.Event().wait()
        yield 2

    assert [n async for n in until(stop, two())] == [1, 2]
    assert [n async for n in until(stop, endless())] == [1]


class Refused(Exception):
    def __init__(self, *, passes: bool) -> None:
        self.passes = passes


@pytest.mark.parametrize(("passes", "tries", "done"), [(True, 3, 3), (True, 2, 2), (False, 9, 1)])
async def test_retrying_ends_with_its_tries_or_with_what_does_not_pass(passes: bool, tries: int, done: int) -> None:
    calls = 0

    async def work() -> int:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise Refused(passes=passes)
        return calls

    trying = retrying(work, on=Refused, when=lambda e: e.passes, tries=tries, first=0, longest=0)
    if done == 3:
        assert await trying == 3
    else:
        with pytest.raises(Refused):
            await trying
    assert calls == done


async def test_retrying_raises_the_last_error_when_the_time_is_up() -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        raise Refused(passes=True)

    with pytest.raises(Refused):
        await retrying(work, on=Refused, seconds=0, first=1, longest=1)
    assert calls == 1


@pytest.mark.parametrize(("at_most", "least"), [(0.0, 0.0), (0.2, 0.2)])
async def test_periodic_work_that_takes_long_is_done_more_rarely_up_to_a_limit(at_most: float, least: float) -> None:
    stop, clock, pauses = asyncio.Event(), asyncio.get_running_loop().time, list[float]()
    ended = clock()

    async def work() -> None:
        nonlocal ended
        pauses.append(clock() - ended)
        await asyncio.sleep(0.05)
        ended = clock()
        if len(pauses) == 3:
            stop.set()

    await periodic("work", 0, work, stop, jitter=0, at_most=at_most)
    assert min(pauses[1:]) >= least
