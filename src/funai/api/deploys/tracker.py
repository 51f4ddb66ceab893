"""Learning what became of deploys: a sweep over the apps that are DEPLOYING, and the same on reads.

Its state is the database's alone, so a restart goes on where the last life stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from weakref import WeakValueDictionary

from sqlalchemy import select

from funai.api.apps.slots import Operation, Slots, before
from funai.api.compat.deploy import job_without_keys
from funai.api.deploys import outcome
from funai.api.deploys.client_pool import DeployClientPool
from funai.api.deploys.presenters import answer_text
from funai.api.models import AppRow, app_of, now_ms
from funai.api.tables import apps
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.errors import BadInput, FunaiError, NotFound
from funai.contracts.jobs import Job
from funai.contracts.reasons import Reason
from funai.contracts.states import AppStatus
from funai.i18n.reasons import render

START_GRACE_MS = 150_000
BATCH = 200
AT_ONCE = 8
STOP_GRACE_MS = 15_000
STOP_TRIES_MS = 600_000
"""So long an unfinished stop is tried again while its node can't be reached."""


class Tracker:
    def __init__(self, db: Database, slots: Slots, control: DeployClientPool, clock: Clock) -> None:
        self.db, self.slots, self.control, self.clock = db, slots, control, clock
        # Both tries of a request must have ended before its absence at Deploy means anything.
        self.grace_ms = int(control.read_seconds * 1000) * 2 + 10_000
        self._after = 0
        self._settling: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def sweep(self) -> None:
        """Look at a batch of DEPLOYING apps; the next call goes on behind it."""
        if not self.control.enabled:
            return
        deploying = select(apps).where(apps.c.status == int(AppStatus.DEPLOYING), apps.c.id > self._after, apps.c.deleting == 0)
        rows = [app_of(r) for r in await self.db.fetch_all(deploying.order_by(apps.c.id).limit(BATCH))]
        self._after = rows[-1].id if len(rows) == BATCH else 0
        await self.look_all(rows)

    async def look_all(self, rows: Sequence[AppRow]) -> None:
        """``look`` at DEPLOYING apps, some at once; what fails is logged and left to the next sweep."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def look(row: AppRow) -> None:
            async with turns:
                try:
                    await self.look(row)
                except FunaiError as e:
                    log.get("api.tracker").warning("tracker.failed", app_id=row.id, reason=e.reason)
                except Exception:  # noqa: BLE001  # one app's trouble keeps no other DEPLOYING
                    log.get("api.tracker").exception("tracker.crashed", app_id=row.id)

        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(look(row))

    async def finish_stops(self) -> None:
        """Finishes stops whose caller is gone: its process died, or Deploy's answer was lost."""
        if not self.control.enabled:
            return
        due = now_ms(self.clock) - STOP_GRACE_MS
        left = select(apps).where(apps.c.op == Operation.STOP.value, apps.c.op_since < due, apps.c.deleting == 0)
        for row in map(app_of, await self.db.fetch_all(left.order_by(apps.c.op_since).limit(AT_ONCE))):
            await self._finish_stop(row)

    async def _finish_stop(self, row: AppRow) -> None:
        app_id = row.id
        mine = select(apps.c.id).where(apps.c.id == app_id, apps.c.op_key == row.op_key, apps.c.deleting == 0)
        if await self.db.fetch_one(mine) is None:
            return  # started or deployed while others were stopped: a stop now would hit that
        try:
            with self.control.asking() as deploy:
                await deploy.app_call("stop", row.user_id, app_id)
        except FunaiError as e:
            log.get("api.tracker").warning("stop.unfinished", app_id=app_id, reason=e.reason)
            if e.code < 500 or now_ms(self.clock) - (row.op_since or 0) > STOP_TRIES_MS:
                await self.slots.not_stopping(app_id, str(row.op_key))
            return
        await self.slots.stopped(app_id, row.job_id, seen_at=row.update_time)
        log.get("api.tracker").info("stop.finished", app_id=app_id)

    async def fresh(self, row: AppRow) -> AppRow:
        """The app after a quick look, if it is DEPLOYING; as it was when Deploy doesn't answer in time."""
        if row.status != AppStatus.DEPLOYING or not self.control.enabled:
            return row
        with suppress(FunaiError, TimeoutError):
            async with asyncio.timeout(self.control.list_seconds):
                await self.look(row)
        now = await self.db.fetch_one(select(apps).where(apps.c.id == row.id))
        return app_of(now) if now else row

    async def fresh_all(self, rows: Sequence[AppRow]) -> list[AppRow]:
        """``fresh`` for many, at once."""
        return list(await asyncio.gather(*(self.fresh(r) for r in rows)))

    async def learn(self, job: Job) -> None:
        """A job was seen on the way: if it ended and its app still waits for it, settle it now."""
        app_id = job.payload.get("appId")
        if not job.status.final or not isinstance(app_id, int):
            return
        row = await self.db.fetch_one(select(apps).where(apps.c.id == app_id, apps.c.op_job_id == job.id))
        if row is not None:
            await self._settle(app_of(row), job)

    async def look(self, row: AppRow) -> None:
        """One DEPLOYING app. Raises what Deploy's client raises."""
        if row.op == Operation.START:
            await self._look_at_start(row)
        elif row.op_job_id is None:
            await self._find_job(row)
        else:
            try:
                with self.control.asking() as deploy:
                    job = await deploy.job(row.op_job_id)
            except NotFound as e:
                if e.reason == Reason.JOB_NOT_FOUND:
                    why = " / ".join(render(Reason.JOB_VANISHED, word, {}) for word in ("zh", "en"))  # read in either language
                    await self.slots.fail(row.id, str(row.op_key), why)
                return
            if job.status.final:
                await self._settle(row, job)

    async def _settle(self, row: AppRow, job: Job) -> None:
        """The first caller does it; the others wait and find it done. A second stop would hit the app's next deploy."""
        turn = self._settling.setdefault(row.id, asyncio.Lock())
        async with turn:
            mine = select(apps.c.id).where(apps.c.id == row.id, apps.c.op_key == row.op_key)
            if await self.db.fetch_one(mine) is not None:
                await self._settle_alone(row, job)

    async def _settle_alone(self, row: AppRow, job: Job) -> None:
        if not before(row).serving and outcome.may_have_left_something(job):
            await self._sweep_up(row)
        if await self.slots.settle(row.id, str(row.op_key), job):
            log.get("api.tracker").info("app.settled", app_id=row.id, job_id=job.id, status=job.status.value)

    async def _sweep_up(self, row: AppRow) -> None:
        """Nothing may stay of an app that ran nothing before: it would run without a slot."""
        try:
            with self.control.asking() as deploy:
                await deploy.app_call("stop", row.user_id, row.id, timeout=10)
        except FunaiError as e:
            log.get("api.tracker").warning("cancel.stop_failed", app_id=row.id, reason=e.reason)

    async def _find_job(self, row: AppRow) -> None:
        """Deploy may or may not have got the request: it is asked by the request's own key."""
        age = now_ms(self.clock) - (row.op_since or 0)
        if age < self.control.read_seconds * 1000:
            return  # most likely still being asked
        app_id, op_key = row.id, str(row.op_key)
        job = await self.job_of(row)
        if job is not None:
            await self.slots.bind(app_id, op_key, job, answer_text(job))
        elif age > self.grace_ms and await self.slots.give_back(app_id, op_key, since=row.op_since):
            log.get("api.tracker").warning("deploy.never_arrived", app_id=app_id)

    async def job_of(self, row: AppRow) -> Job | None:
        """The job of the app's operation at Deploy, None when there is none. Raises what Deploy's client raises."""
        with self.control.asking() as deploy:
            try:
                return await deploy.job_by_key(str(row.op_key))
            except NotFound as e:
                if e.reason == Reason.JOB_NOT_FOUND:
                    return None
            except BadInput:
                pass
            return await job_without_keys(deploy, row.id, row.job_id or 0)

    async def _look_at_start(self, row: AppRow) -> None:
        if now_ms(self.clock) - (row.op_since or 0) < START_GRACE_MS:
            return
        await self.start_ended(row, str(row.op_key))

    async def start_ended(self, row: AppRow, op_key: str) -> None:
        """A start is over, well or not: whether the app runs decides. Raises what Deploy's client raises."""
        app_id = row.id
        with self.control.asking() as deploy:
            status = await deploy.app_status(row.user_id, app_id)
        if status.get("running"):
            await self.slots.started(app_id, op_key, None)
        else:
            await self.slots.give_back(app_id, op_key)
