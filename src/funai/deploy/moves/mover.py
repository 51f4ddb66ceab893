"""Carries moves out: begins a few at a time, and learns from their jobs how they ended.

Where a move stands is in the database alone, so that it goes on after a restart, and several instances may carry out the
same moves: each change says from which state, and the key of a move's job is the move's.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.apps.moves import DrainKind, MoveState
from funai.contracts.errors import Conflict, FunaiError, NotFound
from funai.contracts.reasons import Reason, WaitReason
from funai.contracts.states import JobStatus
from funai.deploy.moves import store
from funai.deploy.moves.jobs import MoveJobs, Running
from funai.deploy.moves.store import MoveRow, MovingMove, WaitingMove
from funai.deploy.placement import policy, relocate, stale
from funai.deploy.placement import store as nodes
from funai.deploy.placement.policy import Node, Rules
from funai.deploy.queue.maintenance.service import Maintenance

MAX_TRIES = 3
"""Of one app, when its job is cancelled, or deployed elsewhere than the move says."""
LOOK_AT = 64
ANEW: dict[str, None] = {"job_id": None, "target_node_id": None}
KEEP_MS = 30 * 86_400_000


class Mover(Maintenance):
    name = "deploy.moves"

    def __init__(self, db: Database, rules: Rules, jobs: MoveJobs, *, at_once: int = 4, every: float = 1.0) -> None:
        self.db, self.rules, self.jobs, self.at_once, self.every = db, rules, jobs, at_once, every

    async def run_once(self) -> None:
        """Everything that can be done of moves now."""
        async with self.db.read() as conn:
            now = self.db.now_ms()
            due = await store.due(conn, now, stale.any_due(now))
        if due.stale:
            await self.db.retrying(lambda conn: stale.release_due(conn, due.now_ms))
        if due.moves:
            await self._carry_on()
        if due.drains:
            await self.db.retrying(lambda conn: store.finish_drains(conn, due.now_ms))

    async def _carry_on(self) -> None:
        """Settle the moves whose jobs ended, and begin as many as there is room for."""
        async with self.db.read() as conn:
            under_way = await store.moving(conn)
        ended = [await self._settle(row) for row in under_way]
        async with self.db.read() as conn:
            waiting = await store.waiting(conn, LOOK_AT)
        room = self.at_once - ended.count(False)
        for row in waiting:
            if room <= 0:
                break
            room -= await self._begin_quietly(row)

    async def prune(self) -> int:
        """Forget what ended long ago."""

        async def work(conn: AsyncConnection) -> int:
            return await store.prune(conn, await self.db.clock(conn) - KEEP_MS)

        return await self.db.retrying(work)

    # ------------------------------------------------------------------ the end of a move

    async def _settle(self, row: MovingMove) -> bool:
        """Whether the move is under way no more."""
        status = row.status
        if status in (JobStatus.PENDING, JobStatus.RUNNING):
            return False
        if status is None:
            await self._change(row, MoveState.CANCELLED, reason=Reason.JOB_NOT_FOUND)
        elif status == JobStatus.SUCCEEDED and row.node_id == row.target_node_id:
            await self._change(row, MoveState.MOVED)
        elif status == JobStatus.FAILED and '"moveOf"' in (row.payload_json or ""):
            await self._change(row, MoveState.FAILED, reason=row.failure_code or Reason.INTERNAL)
        elif row.tries + 1 >= MAX_TRIES:
            await self._change(row, MoveState.FAILED, reason=row.failure_code or status)
        else:  # cancelled, or an owner's deploy that failed or went elsewhere: look again what is to be moved
            await self._change(row, MoveState.WAITING, tries=row.tries + 1, **ANEW)
        return True

    # ------------------------------------------------------------------ its begin

    async def _begin_quietly(self, row: MoveRow) -> int:
        try:
            return int(await self.begin(row))
        except FunaiError as e:
            log.get("moves").warning("move.not_begun", app_id=row.app_id, reason=e.reason)
            await self._change(row, MoveState.WAITING)  # the others' turn
            return 0

    async def begin(self, row: MoveRow) -> bool:
        """Begin the move as the app is now; True when a job is under way for it. Raises what the database raises."""
        app_id = row.app_id
        async with self.db.read() as conn:
            now_ms = await self.db.clock(conn)
            home = await relocate.node_of(conn, app_id)
            running = await self.jobs.running(conn, app_id)
            known = await nodes.nodes(conn)
        if home != row.source_node_id:
            await self._change(
                row, MoveState.MOVED if home else MoveState.CANCELLED, reason="ELSEWHERE" if home else "APP_GONE"
            )
            return False
        if running.busy is JobStatus.RUNNING:
            await self._change(row, MoveState.WAITING)
            return False
        target = self._target(row, known, now_ms)
        if isinstance(target, str):
            waits = isinstance(row, WaitingMove) and row.kind == DrainKind.EVACUATION
            await self._change(row, MoveState.WAITING if waits else MoveState.FAILED, reason=target)
            return False
        try:
            job_id = await self._job(row, running, target)
        except Conflict as e:
            await self._change(row, MoveState.WAITING, reason=e.reason)
            return False
        except NotFound as e:
            await self._change(row, MoveState.FAILED, reason=e.reason)
            return False
        if job_id is None:
            await self._change(row, MoveState.MOVED, target_node_id=target.id)
            return False
        await self._change(row, MoveState.MOVING, reason=None, job_id=job_id, target_node_id=target.id)
        return True

    def _target(self, row: MoveRow, known: list[Node], now_ms: int) -> Node | str:
        """The node, or why there is none."""
        others = [n for n in known if n.id != row.source_node_id]
        if row.wanted_node_id is None:
            choice = policy.choose(row.app_id, others, now_ms, self.rules)
            return choice.value if isinstance(choice, WaitReason) else choice
        wanted = next((n for n in others if n.id == row.wanted_node_id), None)
        return wanted if wanted and policy.takes_new(wanted, now_ms, self.rules) else Reason.NODE_NOT_ELIGIBLE

    async def _job(self, row: MoveRow, running: Running, target: Node) -> int | None:
        """The job that moves the app; None when it was enough to place it, since nothing of it runs."""
        app_id = row.app_id
        if running.busy is JobStatus.PENDING:
            aimed = await self.jobs.aim(app_id, target.id)
            if aimed is None:
                raise Conflict(Reason.APP_DEPLOYING)
            return aimed
        if running.number is not None and running.serves:
            return await self.jobs.start(app_id, running.number, target.id, f"move-{row.id}-{row.tries}")

        async def work(conn: AsyncConnection) -> None:
            await relocate.place_elsewhere(conn, app_id, target, await self.db.clock(conn), self.rules)

        await self.db.retrying(work)
        return None

    async def _change(self, row: MoveRow, state: MoveState, **values: str | int | None) -> None:
        async def work(conn: AsyncConnection) -> bool:
            return await store.change(conn, row, state, await self.db.clock(conn), **values)

        if await self.db.retrying(work) and state.value != row.state:
            told = {"app_id": row.app_id, "source": row.source_node_id, "state": state.value}
            log.get("moves").info("move.changed", **told, target=values.get("target_node_id"), reason=values.get("reason"))
