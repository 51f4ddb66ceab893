"""What an operator asks of moves: begin one, empty a node, look, cancel."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.apps.moves import DrainKind, DrainProgress, Move, MoveState
from funai.contracts.errors import Conflict, NotFound
from funai.contracts.reasons import Reason
from funai.deploy.moves import store
from funai.deploy.moves.mover import Mover
from funai.deploy.moves.store import NewMove

MAX_SHOWN = 2_000


class Moves:
    """``placement.ports.Moves``."""

    def __init__(self, db: Database, mover: Mover) -> None:
        self.db, self.mover = db, mover

    async def by_job(self, conn: AsyncConnection, app_id: int) -> bool:
        """Whether a move of the app takes a job: it serves, from a release that can be started elsewhere, or is just being
        moved. In the caller's transaction."""
        running = await self.mover.jobs.running(conn, app_id)
        return running.serves or await store.open_of_app(conn, app_id) is not None

    async def reassign(self, app_id: int, source_node_id: int, target_node_id: int) -> Move | None:
        """Begin to move one app; None when it is enough to place it elsewhere. Raises Conflict(APP_DEPLOYING)."""
        async with self.db.read() as conn:
            running = await self.mover.jobs.running(conn, app_id)
            under_way = await store.open_of_app(conn, app_id)
            number = running.number if running.serves else None
            if number is None or not await self.mover.jobs.kept(conn, app_id, number):
                return None
        if running.busy == "RUNNING" or (under_way and under_way.state == MoveState.MOVING):
            raise Conflict(Reason.APP_DEPLOYING)

        async def work(conn: AsyncConnection) -> None:
            now_ms = await self.db.clock(conn)
            waits = await store.open_of_app(conn, app_id)
            if waits is not None:  # a drain's, whose turn has not come
                await store.change(conn, waits, MoveState.CANCELLED, now_ms, reason="REASSIGNED")
            await store.add(conn, None, [NewMove(app_id, source_node_id, target_node_id)], now_ms)

        await self.db.retrying(work)
        return await self._begun(app_id)

    async def _begun(self, app_id: int) -> Move:
        """The app's move, begun now where it can be: the operator sees its job."""
        async with self.db.read() as conn:
            row = await store.open_of_app(conn, app_id)
        if row is None:
            raise Conflict(Reason.APP_DEPLOYING)  # another instance ended it in this very moment
        if row.state == MoveState.WAITING:
            await self.mover.begin(row)
        async with self.db.read() as conn:
            row = await store.open_of_app(conn, app_id) or row
        return store.shown(row)

    async def drain(
        self, source_node_id: int, target_node_id: int | None, app_ids: Sequence[int], kind: DrainKind = DrainKind.DRAIN
    ) -> int:
        """Move these apps off the node, a few at a time; answers the drain's id: the one under way, if there is one."""

        async def work(conn: AsyncConnection) -> int:
            now_ms = await self.db.clock(conn)
            drain_id = await store.open_drain(conn, source_node_id)
            if drain_id is None:
                drain_id = await store.new_drain(conn, kind, source_node_id, now_ms)
            await store.add(conn, drain_id, [NewMove(a, source_node_id, target_node_id) for a in app_ids], now_ms)
            return drain_id

        drain_id = await self.db.retrying(work)
        log.get("moves").info("drain.begun", drain_id=drain_id, kind=kind, node=source_node_id, apps=len(app_ids))
        return drain_id

    async def progress(self) -> list[DrainProgress]:
        """The last drain of every node that had one."""
        async with self.db.read() as conn:
            return await store.progress(conn)

    async def one(self, drain_id: int) -> DrainProgress:
        """A drain with its moves. Raises NotFound(DRAIN_NOT_FOUND)."""
        async with self.db.read() as conn:
            found = await store.progress(conn, drain_id)
            if not found:
                raise NotFound(Reason.DRAIN_NOT_FOUND)
            found[0].moves = await store.moves_of(conn, drain_id, MAX_SHOWN)
        return found[0]

    async def cancel(self, drain_id: int, reason: str = "CANCELLED") -> DrainProgress:
        """Begin no more of its moves; those under way end by themselves. Idempotent. Raises NotFound(DRAIN_NOT_FOUND)."""

        async def work(conn: AsyncConnection) -> bool:
            return await store.cancel_drain(conn, drain_id, await self.db.clock(conn), reason)

        if await self.db.retrying(work):
            log.get("moves").info("drain.cancelled", drain_id=drain_id, reason=reason)
        return await self.one(drain_id)
