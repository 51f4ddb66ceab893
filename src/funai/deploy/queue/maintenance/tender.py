"""The look that comes often: one small read says what is due, and what is due is done beside the next looks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from funai.base.aio import guarded, periodic
from funai.base.db.rows import Row, one_row
from funai.deploy.queue.maintenance.limits import TimeLimits
from funai.deploy.queue.maintenance.promoter import Promoter
from funai.deploy.queue.maintenance.rescuer import Rescuer
from funai.deploy.queue.store import JobStore
from funai.deploy.queue.waiters import Waiters

HEAD = 64


@dataclass
class Tender:
    """``also`` are further works of each round."""

    store: JobStore
    waiters: Waiters
    rescuer: Rescuer
    limits: TimeLimits
    promoter: Promoter
    every: float
    also: list[Callable[[], Awaitable[object]]] = field(default_factory=list[Callable[[], Awaitable[object]]])
    _acting: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup, stop: asyncio.Event) -> None:
        """A rescue that waits for another instance's lock delays no look, and so no runner that waits here."""

        async def look() -> None:
            due = await self.look()
            if self._acting is None or self._acting.done():
                self._acting = tasks.create_task(guarded("deploy.tend", partial(self.act, due)), name="deploy.tend.act")

        tasks.create_task(periodic("deploy.look", self.every, look, stop), name="deploy.tend")

    async def run_once(self) -> None:
        await self.act(await self.look())

    async def look(self) -> Row:
        """What is due, for :meth:`act`. Runners that wait here are woken for claimable jobs, also when no hint came."""
        given, mark = {"p_max_running": self.limits.config.max_running_ms}, self.waiters.mark()
        async with self.store.db.read() as conn:
            due = await one_row(conn, self.store.sql.due, given)
        if not due["work"]:
            self.waiters.found_nothing(mark)
        elif waiting := self.waiters.waiting:
            self.waiters.wake(len(await self.store.head(min(waiting, HEAD))))
        return due

    async def act(self, due: Row) -> None:
        """Do what is due. May take its time, where another instance has a row locked."""
        if due["lapsed"]:
            await self.rescuer.run_once()
        if due["long"]:
            await self.limits.end_overdue()
        if due["backed_off"]:
            self.waiters.wake(await self.promoter.next_attempts())
        if due["waiting"]:
            await self.limits.end_waits()
            self.waiters.wake(await self.promoter.waits_for_node())
        for work in self.also:
            await work()
