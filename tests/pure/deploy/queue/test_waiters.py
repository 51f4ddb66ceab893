"""Runners in line: one job wakes one runner, and no wake is lost."""

from __future__ import annotations

import asyncio

import pytest

from funai.deploy.queue.waiters import Waiters


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_oldest_is_woken_first() -> None:
    waiters, order = Waiters(), []

    async def runner(name: str) -> None:
        if await waiters.wait(waiters.mark(), 5):
            order.append(name)

    tasks = []
    for name in "abc":
        tasks.append(asyncio.create_task(runner(name)))
        await settle()
    assert waiters.wake() == 1
    await settle()
    assert order == ["a"]
    assert waiters.wake(5) == 2
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "c"]


async def test_a_wake_between_the_look_and_the_wait_is_not_lost() -> None:
    waiters = Waiters()
    mark = waiters.mark()
    waiters.wake()
    assert await waiters.wait(mark, 5) is True


async def test_a_cancelled_waiter_hands_its_wake_on() -> None:
    waiters = Waiters()
    first = asyncio.create_task(waiters.wait(waiters.mark(), 5))
    await settle()
    second = asyncio.create_task(waiters.wait(waiters.mark(), 5))
    await settle()
    waiters.wake()
    first.cancel()
    assert await second is True


async def test_closing_sends_everybody_home() -> None:
    waiters = Waiters()
    waiting = asyncio.create_task(waiters.wait(waiters.mark(), 5))
    await settle()
    waiters.close()
    assert await waiting is False
    assert await waiters.wait(waiters.mark(), 5) is False


async def test_waiting_ends_by_itself() -> None:
    waiters = Waiters()
    assert await waiters.wait(waiters.mark(), 0.01) is False
    assert waiters.waiting == 0


async def test_who_found_nothing_spares_others_the_look_until_something_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    waiters = Waiters()
    assert not waiters.known_empty()
    mark = waiters.mark()
    waiters.found_nothing(mark)
    assert waiters.known_empty()
    waiters.wake()
    assert not waiters.known_empty(), "there is work"
    waiters.found_nothing(mark)
    assert not waiters.known_empty(), "that look began before the work came"
    waiters.found_nothing(waiters.mark())
    assert waiters.known_empty()
    monkeypatch.setattr("funai.deploy.queue.waiters.EMPTY_SECONDS", 0)
    assert not waiters.known_empty(), "nobody has looked for too long"
