"""Running slots, and the one operation an app may have under way.

A slot is taken under the lock of its owner's row, and the app enters DEPLOYING in the same transaction: of two requests
that race for the last slot, or to deploy one app, the second sees what the first did. Every later change names the
operation's key in its own WHERE, so that a caller settles only the operation it knows.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.deploys import keys, outcome
from funai.api.deploys.keys import Remember
from funai.api.deploys.outcome import Before
from funai.api.models import AppRow, first, first_app, lock_user, now_ms
from funai.api.tables import apps
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.contracts.errors import Conflict, NotFound
from funai.contracts.jobs import Job
from funai.contracts.reasons import Reason
from funai.contracts.states import AppStatus

MAX_NAMED = 10
"""Apps that a refusal names."""
Changes = Callable[[AppRow], dict[str, object]]
_OVER = {"op": None, "op_key": None, "op_job_id": None, "op_since": None, "prev_status": None, "prev_slot": None}
"""Nothing is under way any more."""


class Operation(StrEnum):
    DEPLOY = "deploy"
    """A job at Deploy: build and deploy, a prebuilt image, or a rollback."""
    START = "start"
    """A stopped app's kept release is started again; no job."""
    STOP = "stop"
    """The app is being taken off line. Its status is what it was until that is done; a deploy or start overrules it."""


class Slots:
    def __init__(self, db: Database, clock: Clock, *, limit: int) -> None:
        self.db, self.clock, self.limit = db, clock, limit

    async def take(self, user_id: int, app_id: int, op: Operation, op_key: str, remember: Remember | None = None) -> None:
        """Enter DEPLOYING, holding a slot.

        Raises NotFound, Conflict (APP_DEPLOYING, APP_DISABLED, QUOTA_RUNNING_APPS), Repeated.
        """

        async def work(conn: AsyncConnection) -> None:
            if await lock_user(conn, user_id) is None:
                raise NotFound(Reason.APP_NOT_FOUND)
            if remember:
                await keys.keep(conn, user_id, op_key, remember, now_ms(self.clock))
            app = await first_app(conn, select(apps).where(apps.c.id == app_id, apps.c.user_id == user_id).with_for_update())
            if app is None or app.deleting:
                raise NotFound(Reason.APP_NOT_FOUND)
            await self._check(conn, app)
            values: dict[str, object] = {
                "status": int(AppStatus.DEPLOYING),
                "slot": 1,
                "op": op.value,
                "op_key": op_key,
                "op_job_id": None,
                "prev_status": int(app.status),
                "prev_slot": app.slot,
            }
            at = now_ms(self.clock)
            await conn.execute(update(apps).where(apps.c.id == app_id).values(op_since=at, update_time=at, **values))

        await self.db.retrying(work)

    async def bind(self, app_id: int, op_key: str, job: Job, answer: str | None) -> bool:
        """The operation became this job. False when the operation is over already, or its app is going."""
        held = update(apps).where(apps.c.id == app_id, apps.c.op_key == op_key, apps.c.deleting == 0)

        async def work(conn: AsyncConnection) -> bool:
            bound = await conn.execute(held.values(op_job_id=job.id, job_id=job.id, update_time=now_ms(self.clock)))
            if answer is not None:
                await conn.execute(keys.answered(op_key, answer))
            return bool(bound.rowcount)

        return await self.db.retrying(work)

    async def adopt(self, app_id: int, op_key: str, job: Job) -> bool:
        """The app turned out to have a job already, which this operation now waits for; its own request was refused."""
        held = update(apps).where(apps.c.id == app_id, apps.c.op_key == op_key, apps.c.deleting == 0)

        async def work(conn: AsyncConnection) -> bool:
            await conn.execute(keys.unanswered(op_key))
            adopted = await conn.execute(held.values(op_job_id=job.id, job_id=job.id, update_time=now_ms(self.clock)))
            return bool(adopted.rowcount)

        return await self.db.retrying(work)

    async def renew(self, app_id: int, op_key: str) -> bool:
        """Count the operation from now: it is asked for once more. False when it is over or has its job already."""
        held = (apps.c.id == app_id, apps.c.op_key == op_key, apps.c.op_job_id.is_(None), apps.c.deleting == 0)
        async with self.db.write() as conn:
            renewed = await conn.execute(update(apps).where(*held).values(op_since=now_ms(self.clock)))
        return bool(renewed.rowcount)

    async def give_back(self, app_id: int, op_key: str, *, since: int | None = None) -> bool:
        """Nothing came of the operation: the app is as it was, its slot and Idempotency-Key are free.

        ``since``: only while the operation counts from then, for one who found so some time ago.
        """

        async def work(conn: AsyncConnection) -> bool:
            if since is not None:
                same = select(apps.c.op_since).where(apps.c.id == app_id, apps.c.op_key == op_key).with_for_update()
                row = await first(conn, same)
                if row is None or row["op_since"] != since:
                    return False
            await conn.execute(keys.unanswered(op_key))
            return await _end(conn, app_id, op_key, now_ms(self.clock), lambda row: outcome.undone(before(row)))

        return await self.db.retrying(work)

    async def settle(self, app_id: int, op_key: str, job: Job) -> bool:
        """Records that the operation's job ended. False when another caller settled it first."""
        return await self._over(app_id, op_key, lambda row: outcome.of_job(job, before(row)))

    async def started(self, app_id: int, op_key: str, deploy_url: str | None) -> bool:
        """A start succeeded."""
        values: dict[str, object] = {"status": int(AppStatus.READY), "slot": 1, "serving": 1, "last_error": None}
        if deploy_url:
            values["deploy_url"] = deploy_url
        return await self._over(app_id, op_key, lambda _: values)

    async def fail(self, app_id: int, op_key: str, why: str) -> bool:
        """The operation failed without a job to tell why."""
        return await self._over(app_id, op_key, lambda row: outcome.failed(why, before(row)))

    async def stopping(self, app_id: int, op_key: str) -> None:
        """Records a stop before it is carried out, so that it is finished even when this process dies in between."""
        idle = (apps.c.id == app_id, apps.c.status != int(AppStatus.DEPLOYING))
        values = {"op": Operation.STOP.value, "op_key": op_key, "op_since": now_ms(self.clock)}
        async with self.db.write() as conn:
            await conn.execute(update(apps).where(*idle).values(values))

    async def not_stopping(self, app_id: int, op_key: str) -> None:
        """Nothing came of that stop."""
        mine = (apps.c.id == app_id, apps.c.op_key == op_key, apps.c.op == Operation.STOP.value)
        async with self.db.write() as conn:
            await conn.execute(update(apps).where(*mine).values(_OVER))

    async def stopped(self, app_id: int, seen_job: int | None, *, seen_at: int | None = None) -> None:
        """The app was taken off line: UPLOADED and its slot free, unless a deploy began meanwhile.

        ``seen_at``: only if nothing came and ended since that ``update_time``, like a start.
        """
        async with self.db.write() as conn:
            app = await first_app(conn, select(apps).where(apps.c.id == app_id).with_for_update())
            if app is None or (seen_at not in (None, app.update_time) and app.status != AppStatus.DEPLOYING):
                return
            values: dict[str, object] = {"serving": 0}
            if app.op == Operation.STOP:
                values |= _OVER
            if app.status == AppStatus.DEPLOYING:
                values |= {"prev_status": int(AppStatus.UPLOADED), "prev_slot": 0}
            elif app.job_id != seen_job:
                return  # a whole deploy came and ended meanwhile: its word is the newer one
            elif app.status != AppStatus.DISABLED:
                values |= {"status": int(AppStatus.UPLOADED), "slot": 0}
            await conn.execute(update(apps).where(apps.c.id == app_id).values(update_time=now_ms(self.clock), **values))

    async def _check(self, conn: AsyncConnection, app: AppRow) -> None:
        if app.status == AppStatus.DISABLED:
            raise Conflict(Reason.APP_DISABLED)
        if app.status == AppStatus.DEPLOYING:
            raise Conflict(Reason.APP_DEPLOYING)
        if app.slot:
            return
        held = select(apps.c.app_name).where(apps.c.user_id == app.user_id, apps.c.slot == 1, apps.c.deleting == 0)
        names = list((await conn.execute(held.order_by(apps.c.id))).scalars())
        if len(names) >= self.limit:
            shown = ", ".join(names[:MAX_NAMED]) + (" …" if len(names) > MAX_NAMED else "")
            raise Conflict(Reason.QUOTA_RUNNING_APPS, limit=self.limit, apps=shown)

    async def _over(self, app_id: int, op_key: str, changes: Changes) -> bool:
        return await self.db.retrying(lambda conn: _end(conn, app_id, op_key, now_ms(self.clock), changes))


async def _end(conn: AsyncConnection, app_id: int, op_key: str, at: int, changes: Changes) -> bool:
    """The operation is over with these changes to its app. False when it was over before."""
    row = await first_app(conn, select(apps).where(apps.c.id == app_id, apps.c.op_key == op_key).with_for_update())
    if row is None:
        return False
    await conn.execute(update(apps).where(apps.c.id == app_id).values(update_time=at, **changes(row), **_OVER))
    return True


def before(row: AppRow) -> Before:
    """The app as it was when the operation in ``row`` began."""
    status = AppStatus.UPLOADED if row.prev_status is None else AppStatus(row.prev_status)
    return Before(status, bool(row.prev_slot), bool(row.serving))
