"""Deleting an app: everything of it everywhere, and nothing forgotten when a part of the platform is away.

The app disappears for its owner at once (its name and its places in the quotas are free). Its row stays, marked, until
every step has succeeded; a sweep retries what failed.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.apps.service import Apps
from funai.api.compat.deploy import steps_of
from funai.api.deploys.client_pool import DeployClientPool
from funai.api.models import AppRow, app_of, first_app, lock_user, now_ms
from funai.api.tables import app_env, apps
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.accounts import AppDeleted, CleanupStep
from funai.contracts.apps.databases import DatabaseCall, DatabaseOp
from funai.contracts.errors import Conflict, FunaiError, NotFound
from funai.contracts.jobs import Job
from funai.contracts.reasons import Reason
from funai.contracts.states import AppStatus

HIDDEN_NAME = "\x7fdeleted-{id}"
"""A name that no user can choose, so that the app's own name becomes free."""
FIRST_TRY_MS = 180_000
"""For so long the caller's own try is left alone by the sweep."""
AFTERMATH_MS = 20_000
"""A build that was running when the app went may still start a container in this time: it is cleaned once more."""
LONGEST_PAUSE_MS = 600_000
CLEANUP_SECONDS = 120.0
_JOBS_END_SECONDS = 10.0


class Deletions:
    def __init__(self, db: Database, apps_: Apps, control: DeployClientPool, clock: Clock) -> None:
        self.db, self.apps, self.control, self.clock = db, apps_, control, clock

    async def delete(self, user_id: int, app_id: int, *, disabled_too: bool = True) -> AppDeleted:
        """Cancel what runs, then clean everywhere. Raises NotFound; what fails later is reported, not raised.

        Without ``disabled_too`` Conflict APP_DISABLED for an app that an operator disabled.
        """
        row = await self._mark(user_id, app_id, disabled_too=disabled_too)
        return await self._clean(row)

    async def sweep(self) -> None:
        """Try again what is due, at most a few at a time."""
        due = select(apps).where(apps.c.deleting == 1, apps.c.delete_next <= now_ms(self.clock))
        for row in map(app_of, await self.db.fetch_all(due.order_by(apps.c.delete_next).limit(5))):
            if await self._claim(row):
                await self._clean(replace(row, delete_tries=row.delete_tries + 1))

    async def _mark(self, user_id: int, app_id: int, *, disabled_too: bool) -> AppRow:
        async def work(conn: AsyncConnection) -> AppRow:
            mine = (apps.c.id == app_id, apps.c.user_id == user_id, apps.c.deleting == 0)
            if await lock_user(conn, user_id) is None:
                raise NotFound(Reason.APP_NOT_FOUND)
            row = await first_app(conn, select(apps).where(*mine).with_for_update())
            if row is None:
                raise NotFound(Reason.APP_NOT_FOUND)
            if row.status == AppStatus.DISABLED and not disabled_too:
                raise Conflict(Reason.APP_DISABLED)
            at = now_ms(self.clock)
            marked = {"deleting": 1, "app_name": HIDDEN_NAME.format(id=app_id), "slot": 0, "delete_next": at + FIRST_TRY_MS}
            await conn.execute(update(apps).where(apps.c.id == app_id).values(update_time=at, **marked))
            return row

        return await self.db.retrying(work)

    async def _claim(self, row: AppRow) -> bool:
        """Whether this process may try; of several instances one does."""
        pause = min(10_000 * 2 ** min(row.delete_tries, 10), LONGEST_PAUSE_MS)
        claim = update(apps).where(apps.c.id == row.id, apps.c.delete_next == row.delete_next)
        async with self.db.write() as conn:
            taken = await conn.execute(
                claim.values(
                    delete_tries=apps.c.delete_tries + 1, delete_next=now_ms(self.clock) + pause + int(CLEANUP_SECONDS * 1000)
                )
            )
        return bool(taken.rowcount)

    async def _clean(self, row: AppRow) -> AppDeleted:
        user_id, app_id = row.user_id, row.id
        steps: list[CleanupStep] = []
        was_running = await self._step(steps, "jobs", self._end_jobs(row)) or False
        if all(s.ok for s in steps):
            steps += await self._clean_deploy(row)
        await self._step(steps, "repository", self.apps.repos.drop(user_id, app_id))
        failed = [s for s in steps if not s.ok]
        if failed or was_running:
            await self._later(row, failed)
        else:
            await self._drop_rows(app_id)
        log.get("api.deletion").info("app.deleted", app_id=app_id, complete=not failed, failed=[s.step for s in failed])
        return AppDeleted(app_id=app_id, complete=not failed, steps=steps)

    async def _step(self, steps: list[CleanupStep], name: str, work: Any) -> Any:
        try:
            result = await work
        except (FunaiError, OSError) as e:
            steps.append(CleanupStep(step=name, ok=False, detail=str(e)))
            return None
        steps.append(CleanupStep(step=name, ok=True))
        return result

    async def _end_jobs(self, row: AppRow) -> bool:
        """Cancel the app's active jobs and wait until they are over; answers whether one was already running."""
        if self._never_deployed(row):
            return False
        # A request that is on its way to Deploy right now is looked for once more, later.
        was_running = row.op is not None and not row.delete_tries
        deadline = self.clock.monotonic() + _JOBS_END_SECONDS
        while active := await self._active(row.id):
            was_running = was_running or any(j.runner_id is not None for j in active)
            for job in active:
                with self.control.asking() as deploy:
                    await deploy.cancel(job.id)
            if self.clock.monotonic() >= deadline:
                break
            await asyncio.sleep(0.2)
        return was_running

    async def _active(self, app_id: int) -> list[Job]:
        with self.control.asking() as deploy:
            return [j for j in await deploy.jobs_by_app(app_id, 20) if not j.status.final]

    async def _clean_deploy(self, row: AppRow) -> list[CleanupStep]:
        if self._never_deployed(row):
            await self._forget_database(row)
            return []
        try:
            with self.control.asking() as deploy:
                report = await deploy.app_call("cleanup", row.user_id, row.id, timeout=CLEANUP_SECONDS)
        except FunaiError as e:
            return [CleanupStep(step="runtime", ok=False, detail=str(e))]
        return steps_of(report)

    async def _forget_database(self, row: AppRow) -> None:
        """One may have been made before the first deploy. What can't be dropped now, `funai admin orphans` finds."""
        call = DatabaseCall(user_id=str(row.user_id), app_id=str(row.id))
        try:
            with self.control.asking() as deploy:
                await deploy.database(DatabaseOp.FORGET, call)
        except FunaiError as e:
            log.get("api.deletion").info("database.left", app_id=row.id, why=str(e)[:200])

    def _never_deployed(self, row: AppRow) -> bool:
        return row.job_id is None and row.op is None

    async def _later(self, row: AppRow, failed: list[CleanupStep]) -> None:
        error = "; ".join(f"{s.step}: {s.detail or 'failed'}" for s in failed)[:2_000] or None
        pause = min(5_000 * 2 ** min(row.delete_tries, 10), LONGEST_PAUSE_MS) if failed else AFTERMATH_MS
        async with self.db.write() as conn:
            await conn.execute(
                update(apps).where(apps.c.id == row.id).values(delete_next=now_ms(self.clock) + pause, delete_error=error)
            )

    async def _drop_rows(self, app_id: int) -> None:
        async with self.db.write() as conn:
            await conn.execute(delete(app_env).where(app_env.c.app_id == app_id))
            await conn.execute(delete(apps).where(apps.c.id == app_id, apps.c.deleting == 1))
