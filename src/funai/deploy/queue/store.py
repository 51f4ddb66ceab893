"""The queue in the database: every call is one short transaction that also writes its audit line."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.schema import ScalarElementColumnDefault

from funai.base.db.engine import Database, storable
from funai.base.db.rows import Row, first_row, one_row
from funai.base.observability import log
from funai.contracts.errors import Conflict, NotFound
from funai.contracts.jobs import JobResult, RuntimeNodeRef
from funai.contracts.reasons import Reason
from funai.contracts.states import JobStatus, Phase
from funai.deploy.events.store import EventStore, Happened
from funai.deploy.queue import endings, transitions
from funai.deploy.queue.endings import Ending
from funai.deploy.queue.models import JobRow
from funai.deploy.queue.ports import Placer, Releases, Waiting
from funai.deploy.queue.statements import Statements, prune
from funai.deploy.queue.transitions import Claimable, Holder
from funai.deploy.settings import QueueOrder
from funai.deploy.tables import job

POSITION_LIMIT = 10_000
HEADS_PER_CLAIM = 16
"""Blocked heads one claim transaction moves out of the way before it lets others have the database."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to be stored. ``payload`` is its JSON object without anything sealed."""

    type: str
    app_id: int | None
    user_id: int | None
    payload: dict[str, Any]
    env_sealed: str | None = None
    idempotency_key: str | None = None
    request_hash: str | None = None
    target_node_id: int | None = None
    """Where the app lives once the job succeeded; None: where it does."""


@dataclass(frozen=True, slots=True)
class Claimed:
    row: JobRow
    node: RuntimeNodeRef | None
    release: int | None = None
    """The number that the app's release gets when the job succeeds."""


@dataclass(frozen=True, slots=True)
class ClaimTurn:
    """What one claim transaction came to. ``more``: it stopped after moving blocked heads aside; try again at once.

    ``freed``: the job it took had been waiting for a node, so others that wait may be placed now too. ``ended``: moves whose
    target can't take them any more.
    """

    claimed: Claimed | None
    more: bool = False
    freed: bool = False
    ended: tuple[JobRow, ...] = ()


BEGUN: dict[str, Any] = {c.name: c.default.arg if isinstance(c.default, ScalarElementColumnDefault) else None for c in job.c}
"""A new job's row, as far as its creator says nothing of it."""


class JobStore:
    """``now`` is the database's clock as an SQL expression; tests give one that they steer."""

    def __init__(
        self, db: Database, *, placer: Placer, releases: Releases, order: QueueOrder, now: ColumnElement[int] | None = None
    ) -> None:
        self.db, self.placer, self.releases, self.order = db, placer, releases, order
        self.now = db.now_ms() if now is None else now
        self.sql = Statements(db.dialect, self.now)
        self.events = EventStore(self.now)

    # ------------------------------------------------------------------ create and read

    async def create(self, new: NewJob) -> JobRow:
        """Raises Conflict APP_DEPLOYING while the app has an active job, IDEMPOTENCY_MISMATCH for a reused key."""
        try:
            return await self.db.retrying(lambda conn: self._create(conn, new))
        except IntegrityError as e:
            if new.idempotency_key:
                async with self.db.read() as conn:
                    found = await self._by_key(conn, new)
                if found:
                    return found
            raise Conflict(Reason.APP_DEPLOYING) from e

    async def _create(self, conn: AsyncConnection, new: NewJob) -> JobRow:
        if new.idempotency_key and (found := await self._by_key(conn, new)):
            return found
        if self.order is QueueOrder.FAIR:
            at = await one_row(conn, self.sql.turns, {"p_user": new.user_id})
            served, waiting = (at["oldest"], at["runs"]), (at["waits0"], at["waits1"])
            turn = transitions.next_turn(served, waiting, (at["last0"], at.get("last1")))
        else:
            at = await one_row(conn, self.sql.last_turn)
            turn = at["last"] or 0
        values: dict[str, Any] = {
            "type": new.type,
            "app_id": new.app_id,
            "user_id": new.user_id,
            "status": JobStatus.PENDING.value,
            "payload_json": storable(json.dumps(new.payload, ensure_ascii=False, separators=(",", ":"))),
            "env_sealed": new.env_sealed,
            "idempotency_key": new.idempotency_key,
            "request_hash": new.request_hash,
            "target_node_id": new.target_node_id,
            "trace_id": log.trace_id(),
            "turn": turn,
            "created_ms": at["now_ms"],
            "updated_ms": at["now_ms"],
        }
        made = await conn.execute(self.sql.create, {f"p_{name}": value for name, value in values.items()})
        job_id = int(made.scalar_one() if self.db.dialect.returns_rows else made.lastrowid)
        await self.events.write(conn, Happened(job_id, new.app_id, "api", None, JobStatus.PENDING, 0))
        return JobRow.of(BEGUN | values | {"id": job_id})

    async def _by_key(self, conn: AsyncConnection, new: NewJob) -> JobRow | None:
        found = await first_row(conn, self.sql.by_key, {"p_key": new.idempotency_key})
        if found is None:
            return None
        row = JobRow.of(found)
        if row.request_hash != new.request_hash:
            raise Conflict(Reason.IDEMPOTENCY_MISMATCH)
        return row

    async def by_key(self, key: str) -> JobRow | None:
        """The job created under this idempotency key."""
        return _job(await self.db.fetch_one(self.sql.by_key, {"p_key": key}))

    async def get(self, job_id: int) -> JobRow:
        async with self.db.read() as conn:
            return await self.view(conn, job_id)

    async def position(self, row: JobRow) -> int | None:
        """1 for the job the next claim would take; None when it isn't claimable now, or is too far back to count."""
        if row.status != JobStatus.PENDING or row.claimable != Claimable.NOW:
            return None
        async with self.db.read() as conn:
            at = {"p_turn": row.turn, "p_id": row.id, "p_limit": POSITION_LIMIT}
            ahead = int((await conn.execute(self.sql.position, at)).scalar_one())
        return ahead + 1 if ahead < POSITION_LIMIT else None

    async def head(self, limit: int) -> list[int]:
        """Ids of the jobs the next claims would take, in order."""
        async with self.db.read() as conn:
            return [int(id_) for id_ in (await conn.execute(self.sql.head, {"p_limit": limit})).scalars()]

    async def latest(self, limit: int) -> Sequence[JobRow]:
        return [JobRow.of(row) for row in await self.db.fetch_all(self.sql.latest, {"p_limit": limit})]

    async def by_app(self, app_id: int, limit: int) -> Sequence[JobRow]:
        return [JobRow.of(row) for row in await self.db.fetch_all(self.sql.by_app, {"p_app": app_id, "p_limit": limit})]

    async def active(self, app_id: int) -> JobRow | None:
        """The app's PENDING or RUNNING job."""
        return _job(await self.db.fetch_one(self.sql.active, {"p_app": app_id}))

    async def purge_app(self, conn: AsyncConnection, app_id: int) -> int:
        """Drop every finished job of the app with logs and events, in the caller's transaction."""
        ids = list((await conn.execute(self.sql.ended_of_app, {"p_app": app_id})).scalars())
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            for statement in prune():
                await conn.execute(statement, {"p_ids": some})
            await self.events.forget(conn, some)
        return len(ids)

    async def view(self, conn: AsyncConnection, job_id: int) -> JobRow:
        row = _job(await first_row(conn, self.sql.view, {"p_id": job_id}))
        if row is None:
            raise NotFound(Reason.JOB_NOT_FOUND)
        return row

    # ------------------------------------------------------------------ claim

    async def claim(self, runner_id: str, lease_ms: int) -> ClaimTurn:
        """Take the head of the queue for the runner, placed on a node if it is an app's."""
        return await self.db.retrying(lambda conn: _Turns(self).claim(conn, runner_id, lease_ms))

    # ------------------------------------------------------------------ the holder's calls

    async def heartbeat(self, job_id: int, who: Holder, extend_ms: int, phase: Phase | None, message: str | None) -> JobRow:
        """Extend the lease. A job that ended under this very holder is answered as it is; else LEASE_LOST."""
        given = _fence(job_id, who) | {"p_extend": extend_ms, "p_phase": phase, "p_message": message and storable(message)}

        async def work(conn: AsyncConnection) -> JobRow:
            changed = await self._changed(conn, self.sql.heartbeat[who.lease_token is not None], given)
            if changed is not None:
                return changed
            row = await self.view(conn, job_id)
            if not (JobStatus(row.status).final and transitions.held_by(row.runner_id, row.lease_token, who)):
                raise Conflict(Reason.LEASE_LOST)
            return row

        return await self.db.retrying(work)

    async def report(self, job_id: int, who: Holder, ending: Ending, result: JobResult | None) -> tuple[JobRow, bool]:
        """The holder's final word; (row, True) when it was news, (row, False) for the same word again. Else LEASE_LOST."""
        text = storable(json.dumps(result.to_wire(), ensure_ascii=False)) if result else None
        given = _fence(job_id, who) | ending.values() | {"p_result": text}

        async def work(conn: AsyncConnection) -> tuple[JobRow, bool]:
            row = await self._changed(conn, self.sql.report[who.lease_token is not None], given)
            if row is None:
                row = await self.view(conn, job_id)
                same = row.status == ending.status and transitions.held_by(row.runner_id, row.lease_token, who)
                if not same:
                    raise Conflict(Reason.LEASE_LOST)
                return row, False
            await self._ended(conn, row, JobStatus.RUNNING, f"runner:{who.runner_id}", result)
            return row, True

        return await self.db.retrying(work)

    async def _changed(self, conn: AsyncConnection, statement: Update, given: dict[str, Any]) -> JobRow | None:
        """The view of the one row that the statement changed; None when its condition held for no row."""
        if self.db.dialect.returns_rows:
            return _job(await first_row(conn, statement, given))
        return await self.view(conn, given["p_id"]) if (await conn.execute(statement, given)).rowcount else None

    # ------------------------------------------------------------------ ending from outside

    async def finish(self, job_id: int, ending: Ending, actor: str) -> JobRow:
        """End the job from outside: cancel, or a named transition. Raises JOB_FINAL, TRANSITION_REFUSED."""

        async def work(conn: AsyncConnection) -> JobRow:
            for _ in range(5):
                row = await self.view(conn, job_id)
                source = JobStatus(row.status)
                if source is ending.status and source.final:
                    return row
                transitions.check_transition(source, ending.status)
                if await self.end_guarded(conn, row, ending, actor):
                    return await self.view(conn, job_id)
            raise Conflict(Reason.CONFLICT)

        return await self.db.retrying(work)

    async def end_guarded(self, conn: AsyncConnection, row: JobRow, ending: Ending, actor: str) -> bool:
        """End the job if it still is as ``row`` saw it; False when it moved on meanwhile."""
        running = row.status == JobStatus.RUNNING
        given = ending.values() | {
            "p_id": row.id,
            "p_source": row.status,
            "p_attempt": row.attempt,
            "p_cancel": int(running and ending.status is JobStatus.CANCELLED),
        }
        if not (await conn.execute(self.sql.finish, given)).rowcount:
            return False
        await self._ended(conn, replace(row, **ending.as_ended()), row.status, actor, None)
        return True

    async def _ended(self, conn: AsyncConnection, row: JobRow, source: str, actor: str, result: JobResult | None) -> None:
        """In the transaction that ended it: the audit line, and what the app runs now."""
        detail = row.error_message
        what = Happened(row.id, row.app_id, actor, source, row.status, row.attempt, row.reason or row.failure_code, detail)
        await self.events.write(conn, what)
        if row.app_id is None:
            return
        ended = endings.finished(row)
        now = row.finished_ms or row.updated_ms
        if row.status == JobStatus.SUCCEEDED:
            await self.releases.record(conn, ended, result or JobResult(), now)
        else:
            await self.releases.failed(conn, ended, row.status, row.error_message, now)


class _Turns:
    """The claim transaction, a step a method."""

    def __init__(self, store: JobStore) -> None:
        self.store, self.sql, self.events = store, store.sql, store.events

    async def claim(self, conn: AsyncConnection, runner_id: str, lease_ms: int) -> ClaimTurn:
        ended: list[JobRow] = []
        for _ in range(HEADS_PER_CLAIM):
            row = await self._take_head(conn, runner_id, lease_ms)
            if row is None:
                return ClaimTurn(None, ended=tuple(ended))
            node: RuntimeNodeRef | Waiting | None = None
            if row.app_id is not None:
                node = await self._place(conn, row, row.app_id)
            if node is None and row.target_node_id is not None:
                ended.append(await self._give_up_move(conn, row))
                continue
            if isinstance(node, Waiting):
                await self._block(conn, row, node.reason)
                continue
            if node is not None and node.id != row.node_id:
                await conn.execute(self.sql.place, {"p_id": row.id, "p_node": node.id})
                row = replace(row, node_id=node.id)
            taken = Happened(row.id, row.app_id, f"runner:{runner_id}", JobStatus.PENDING, JobStatus.RUNNING, row.attempt)
            await self.events.write(conn, taken)
            release = None if row.app_id is None else await self._release(conn, row, row.app_id)
            return ClaimTurn(Claimed(row, node, release), freed=row.waiting_since_ms is not None, ended=tuple(ended))
        return ClaimTurn(None, more=True, ended=tuple(ended))

    async def _place(self, conn: AsyncConnection, row: JobRow, app_id: int) -> RuntimeNodeRef | Waiting | None:
        """The job's node; None for a move whose target can't take it. Then a deploy goes where its app lives."""
        now_ms, target = row.updated_ms, row.target_node_id
        if target is not None:
            node = await self.store.placer.place_on(conn, app_id, target, now_ms)
            if node is not None or endings.moves(row):
                return node
            await conn.execute(self.sql.aim, {"p_id": row.id, "p_target": None})
        return await self.store.placer.place(conn, app_id, now_ms, row.user_id)

    async def _give_up_move(self, conn: AsyncConnection, row: JobRow) -> JobRow:
        await self.store.end_guarded(conn, row, endings.TARGET_LOST, "placement")
        return await self.store.view(conn, row.id)

    async def _release(self, conn: AsyncConnection, row: JobRow, app_id: int) -> int:
        """The number of what the job deploys: the next, or of the release that it moves."""
        return endings.finished(row).moved_release or await self.store.releases.next_number(conn, app_id)

    async def _take_head(self, conn: AsyncConnection, runner_id: str, lease_ms: int) -> JobRow | None:
        given = {"p_runner": runner_id, "p_token": secrets.token_urlsafe(18)}
        if self.store.db.dialect.returns_rows:
            return _job(await first_row(conn, self.sql.claim, {**given, "p_lease": lease_ms}))
        pick, take = self.sql.claim_pick
        found = await first_row(conn, pick)
        if found is None:
            return None
        row, now = JobRow.of(found), int(found["now_ms"])
        node_id = found["home_id"] or row.node_id
        placed = {"p_id": row.id, "p_lease_at": now + lease_ms, "p_now": now, "p_node": node_id}
        await conn.execute(take, {**given, **placed})
        return replace(
            row,
            node_id=node_id,
            status=JobStatus.RUNNING.value,
            runner_id=runner_id,
            lease_token=given["p_token"],
            attempt=row.attempt + 1,
            lease_expire_at=now + lease_ms,
            started_ms=now,
            updated_ms=now,
            log_next=0,
            phase=None,
            phase_message=None,
        )

    async def _block(self, conn: AsyncConnection, row: JobRow, reason: str) -> None:
        waited = row.updated_ms - row.waiting_since_ms if row.waiting_since_ms is not None else 0
        delay = transitions.wait_delay_ms(waited)
        await conn.execute(self.sql.block, {"p_id": row.id, "p_reason": reason, "p_delay": delay})
        if row.wait_reason != reason:
            waits = Happened(row.id, row.app_id, "placement", JobStatus.PENDING, JobStatus.PENDING, row.attempt - 1, reason)
            await self.events.write(conn, waits)


def _job(found: Row | None) -> JobRow | None:
    return None if found is None else JobRow.of(found)


def _fence(job_id: int, who: Holder) -> dict[str, Any]:
    given: dict[str, Any] = {"p_id": job_id, "p_runner": who.runner_id}
    return given | {"p_token": who.lease_token} if who.lease_token is not None else given
