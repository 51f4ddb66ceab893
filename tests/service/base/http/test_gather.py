"""Requests that wait for company, over real connections."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from funai.base.aio import bind, serving
from funai.base.beat import next_beat
from funai.base.http.app import create_app, ok
from funai.base.http.gather import LARGEST, MOST, Gather
from tests.parts.waiting import eventually

SECONDS = 0.4


class Service:
    """``POST /beat`` waits for company, ``POST /other`` doesn't. ``turns``: the requests of each turn of the loop."""

    def __init__(self) -> None:
        self.app: FastAPI = create_app("test")
        self.gather = self.app.state.gather = Gather(b"POST /beat ", SECONDS)
        self.at: list[float] = []

        @self.app.post("/beat")
        @self.app.post("/other")
        async def beat(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
            self.at.append(time.monotonic())
            return ok(len(await request.body()))


class Caller:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def hear(self) -> bytes:
        head = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        return head.split(b"\r\n")[0] + b" " + await self.reader.readexactly(size)

    async def ask(self, path: str, body: bytes = b"x") -> bytes:
        await self.say(post(path, body))
        return await self.hear()


@asynccontextmanager
async def service(callers: int) -> AsyncIterator[tuple[Service, list[Caller]]]:
    made = Service()
    async with serving(made.app, bind("127.0.0.1", 0), grace=2) as port:
        opened = [Caller(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(callers)]
        try:
            yield made, opened
        finally:
            for caller in opened:
                caller.writer.close()
                await caller.writer.wait_closed()


def post(path: str, body: bytes) -> bytes:
    return f"POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


async def took(waiting: Any) -> float:
    began = time.monotonic()
    assert b" 200 " in await waiting
    return time.monotonic() - began


async def test_the_first_after_a_pause_is_read_at_once_and_the_next_together() -> None:
    async with service(5) as (made, (first, *others)):
        await asyncio.sleep(next_beat(time.monotonic(), SECONDS) - time.monotonic())
        assert await took(first.ask("/beat")) < SECONDS / 2
        for caller in others:
            await caller.say(post("/beat", b"x"))  # which takes a while
        await asyncio.gather(*(c.hear() for c in others))
        assert made.at[1] - made.at[0] > SECONDS / 2
        assert made.at[4] - made.at[1] < SECONDS / 4
        assert made.at[1] % SECONDS < SECONDS / 2, "at a multiple on the loop's clock, which is the monotonic one"
        await asyncio.sleep(SECONDS * 1.1)
        assert await took(first.ask("/beat")) < SECONDS / 2


async def test_other_requests_and_large_ones_wait_for_nobody() -> None:
    async with service(1) as (made, (caller,)):
        await caller.ask("/beat")
        assert await took(caller.ask("/other")) < SECONDS / 2
        assert await took(caller.ask("/beat", b"x" * LARGEST)) < SECONDS / 2
        assert len(made.at) == 3


async def test_a_request_that_comes_in_pieces_waits_whole() -> None:
    async with service(1) as (_, (caller,)):
        await caller.ask("/beat")
        body = b"y" * 100
        whole = post("/beat", body)
        await caller.say(whole[:20], whole[20:-50], whole[-50:])
        assert (await caller.hear()).endswith(b'"data":100}')
        await caller.say(*[whole[:20], whole[20:-100], b"z" * 50])  # its end comes after the others were read
        await asyncio.sleep(SECONDS * 1.5)
        await caller.say(b"z" * 50)
        assert (await caller.hear()).endswith(b'"data":100}')


async def test_two_requests_at_once_on_one_connection_are_both_answered() -> None:
    async with service(1) as (_, (caller,)):
        await caller.ask("/beat")
        await caller.say(post("/beat", b"1") + post("/beat", b"22"))
        assert (await caller.hear()).endswith(b'"data":1}')
        assert (await caller.hear()).endswith(b'"data":2}')


async def test_who_hangs_up_meanwhile_is_forgotten_and_the_others_are_answered() -> None:
    async with service(3) as (made, (first, gone, stays)):
        await first.ask("/beat")
        await gone.say(post("/beat", b"x"))
        gone.writer.close()
        assert await took(stays.ask("/beat")) < SECONDS * 2
        assert len(made.at) <= 3


async def test_who_says_no_more_is_read_at_once() -> None:
    async with service(2) as (made, (first, last)):
        await asyncio.sleep(next_beat(time.monotonic(), SECONDS) - time.monotonic())
        await first.ask("/beat")
        await last.say(post("/beat", b"x"))
        last.writer.write_eof()
        await eventually(lambda: len(made.at) == 2, seconds=SECONDS / 2)


async def test_who_stops_keeps_nobody_waiting() -> None:
    async with service(3) as (made, (first, second, third)):
        await first.ask("/beat")
        await second.say(post("/beat", b"x"))
        made.gather.close()
        assert await took(second.hear()) < SECONDS / 2
        assert await took(third.ask("/beat")) < SECONDS / 2


async def test_only_so_many_wait() -> None:
    class One:
        read = 0

        def read_now(self) -> None:
            self.read += 1

    gather = Gather(b"POST /beat ", 60)
    assert not gather.takes(post("/beat", b""), One())
    waiting = [One() for _ in range(MOST)]
    assert all(gather.takes(post("/beat", b""), one) for one in waiting)
    assert [one.read for one in waiting] == [1] * MOST
    gather.close()
