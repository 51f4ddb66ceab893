"""Visitors of the apps: they ask all the time, and note what they got and when.

By aiohttp: httpx takes so much of a processor for a request that few visitors would be a crowd. Each request has a connection
of its own, since one on a connection that was used before would be sent again in silence.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

EVERY = 0.05
PATIENCE = 5.0


@dataclass(frozen=True)
class Bad:
    """A request that no visitor should have made: its time and what came back."""

    at: float
    app_id: int
    what: str


@dataclass
class Visits:
    """``versions`` maps an app to the texts that it may answer with now; ``patience`` is in seconds."""

    versions: dict[int, set[str]] = field(default_factory=dict[int, set[str]])
    patience: float = PATIENCE
    requests: int = 0
    rate: float = 0
    """Requests a second that ``paced`` made."""
    bad: list[Bad] = field(default_factory=list[Bad])
    stale: list[Bad] = field(default_factory=list[Bad])

    async def _ask(self, http: aiohttp.ClientSession, url: str, app_id: int) -> None:
        began = time.monotonic()
        allowed = set(self.versions[app_id])
        self.requests += 1
        try:
            async with http.get(url) as answer:
                status, text = answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as e:
            self.bad.append(Bad(began, app_id, type(e).__name__))
            return
        if status != 200:
            self.bad.append(Bad(began, app_id, f"HTTP {status} {text[:80]}"))
        elif text not in allowed | self.versions[app_id]:
            self.stale.append(Bad(began, app_id, text[:80]))

    def _http(self) -> aiohttp.ClientSession:
        connections = aiohttp.TCPConnector(limit=0, force_close=True)
        return aiohttp.ClientSession(connector=connections, timeout=aiohttp.ClientTimeout(total=self.patience))

    @asynccontextmanager
    async def of(self, urls: dict[int, str]) -> AsyncIterator[None]:
        """One visitor an app of ``urls``, which may grow meanwhile."""

        async def all_the_time() -> None:
            async with self._http() as http:
                while True:
                    await asyncio.gather(*(self._ask(http, url, app_id) for app_id, url in list(urls.items())))
                    await asyncio.sleep(EVERY)

        task = asyncio.create_task(all_the_time())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def paced(self, urls: dict[int, str], per_second: float) -> AsyncIterator[None]:
        """So many requests a second in all, one app after the other, whether earlier ones were answered or not."""
        stop = asyncio.Event()

        async def open_loop() -> None:
            began, asked = time.monotonic(), 0
            async with self._http() as http, asyncio.TaskGroup() as asks:
                for app_id, url in itertools.cycle(urls.items()):
                    if stop.is_set():
                        break
                    asks.create_task(self._ask(http, url, app_id))
                    asked += 1
                    await asyncio.sleep(max(0.0, began + asked / per_second - time.monotonic()))
                self.rate = asked / (time.monotonic() - began)

        task = asyncio.create_task(open_loop())
        try:
            yield
        finally:
            stop.set()
            await task
