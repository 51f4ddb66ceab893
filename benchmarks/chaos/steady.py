"""Visitors at a steady rate, in a process of their own: what else the measuring process does can't slow them."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection

from benchmarks.chaos.visitors import Visits

PATIENCE = 60.0
"""Seconds that an answer may take."""


def _visit(ours: Connection, urls: Mapping[int, str], answer: str, per_second: float) -> None:
    """Another process's whole life: says that it begins, visits until it is sent something, then sends what was seen."""

    async def main() -> Visits:
        stop, visits = asyncio.Event(), Visits({app_id: {answer} for app_id in urls}, patience=PATIENCE)
        asyncio.get_running_loop().add_reader(ours.fileno(), stop.set)
        async with visits.paced(dict(urls), per_second):
            ours.send(visits)
            await stop.wait()
        return visits

    ours.send(asyncio.run(main()))


def _received(connection: Connection) -> Visits:
    """Raises EOFError when the other process ended without a word."""
    return connection.recv()


@asynccontextmanager
async def steady(urls: Mapping[int, str], answer: str, per_second: float) -> AsyncIterator[Visits]:
    """So many requests a second in all from the context's begin to its end, at which what was seen is filled in."""
    spawn, seen = multiprocessing.get_context("spawn"), Visits()
    mine, theirs = spawn.Pipe()
    process = spawn.Process(target=_visit, args=(theirs, dict(urls), answer, per_second), daemon=True)
    process.start()
    theirs.close()
    try:
        await asyncio.to_thread(_received, mine)
        yield seen
        mine.send("end")
        seen.__dict__.update((await asyncio.to_thread(_received, mine)).__dict__)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)
