"""Moves and drains in the database. Every function runs in the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.rows import all_rows, first_as, rows_as
from funai.contracts.apps.moves import DrainKind, DrainProgress, DrainState, Move, MoveState
from funai.contracts.wire import from_epoch_ms
from funai.deploy.tables import drain, job, move, runtime_node

OPEN = (MoveState.WAITING.value, MoveState.MOVING.value)
CHUNK = 500
_OPEN = move.c.state.in_(OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveRow:
    """The columns of the move's table by their names."""

    id: int
    drain_id: int | None
    app_id: int
    source_node_id: int
    wanted_node_id: int | None
    target_node_id: int | None
    state: str
    reason: str | None
    job_id: int | None
    tries: int
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingMove(MoveRow):
    kind: str | None = None
    """Of its drain; None: of one app, by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingMove(MoveRow):
    """With its job's columns, None when the job is gone."""

    status: str | None
    failure_code: str | None
    node_id: int | None
    payload_json: str | None


@dataclass(frozen=True, slots=True)
class NewMove:
    app_id: int
    source_node_id: int
    wanted_node_id: int | None = None


async def add(conn: AsyncConnection, drain_id: int | None, moves: Sequence[NewMove], now_ms: int) -> list[int]:
    """Make moves that wait, of apps that have none yet; answers the apps that do."""
    begun: list[int] = []
    for start in range(0, len(moves), CHUNK):
        some = moves[start : start + CHUNK]
        query = select(move.c.app_id).where(_OPEN, move.c.app_id.in_([m.app_id for m in some]))
        there = set((await conn.execute(query)).scalars())
        new = [m for m in some if m.app_id not in there]
        times = {"created_ms": now_ms, "updated_ms": now_ms}
        rows = [
            {
                "drain_id": drain_id,
                "app_id": m.app_id,
                "source_node_id": m.source_node_id,
                "wanted_node_id": m.wanted_node_id,
                "state": MoveState.WAITING.value,
                **times,
            }
            for m in new
        ]
        if rows:
            await conn.execute(insert(move), rows)
        begun += [m.app_id for m in new]
    return begun


async def open_of_app(conn: AsyncConnection, app_id: int) -> MoveRow | None:
    """The app's move that has not ended."""
    query = select(move).where(move.c.app_id == app_id, _OPEN).order_by(move.c.id.desc()).limit(1)
    return await first_as(MoveRow, conn, query)


@dataclass(frozen=True, slots=True)
class Due:
    """What a round has to do, by the database's clock."""

    now_ms: int
    stale: bool
    moves: bool
    drains: bool


async def due(conn: AsyncConnection, now_ms: ColumnElement[int], stale: ColumnElement[bool]) -> Due:
    """One statement, which an idle Deploy sends each round. ``stale`` is the condition of what was left on nodes."""
    drains = exists().where(drain.c.state == DrainState.RUNNING.value)
    row = (await conn.execute(select(now_ms, stale, exists().where(_OPEN), drains))).one()
    return Due(int(row[0]), *(bool(value) for value in row[1:]))


async def waiting(conn: AsyncConnection, limit: int) -> list[WaitingMove]:
    """Moves to begin: those of single apps first, then the ones that were tried longest ago."""
    query = select(move, drain.c.kind).select_from(move.outerjoin(drain, drain.c.id == move.c.drain_id))
    query = query.where(move.c.state == MoveState.WAITING.value)
    first = case((move.c.drain_id.is_(None), 0), else_=1)
    return await rows_as(WaitingMove, conn, query.order_by(first, move.c.updated_ms, move.c.id).limit(limit))


async def moving(conn: AsyncConnection) -> list[MovingMove]:
    """Moves under way, each with how its job stands and where it ran."""
    told = (job.c.status, job.c.failure_code, job.c.node_id, job.c.payload_json)
    query = select(move, *told).select_from(move.outerjoin(job, job.c.id == move.c.job_id))
    return await rows_as(MovingMove, conn, query.where(move.c.state == MoveState.MOVING.value).order_by(move.c.id))


async def change(conn: AsyncConnection, row: MoveRow, state: MoveState, now_ms: int, **values: str | int | None) -> bool:
    """Bring the move from the state that ``row`` has to another; False when another instance did so before."""
    mine = and_(move.c.id == row.id, move.c.state == row.state, move.c.tries == row.tries)
    return (await conn.execute(update(move).where(mine).values(state=state.value, updated_ms=now_ms, **values))).rowcount == 1


async def open_drain(conn: AsyncConnection, source_node_id: int) -> int | None:
    """The drain that empties the node now. Its node's row is locked, where the database has such locks: one drain a node."""
    await conn.execute(select(runtime_node.c.id).where(runtime_node.c.id == source_node_id).with_for_update())
    query = select(drain.c.id).where(drain.c.source_node_id == source_node_id, drain.c.state == DrainState.RUNNING.value)
    return (await conn.execute(query.order_by(drain.c.id).limit(1))).scalar_one_or_none()


async def new_drain(conn: AsyncConnection, kind: DrainKind, source_node_id: int, now_ms: int) -> int:
    values = {"kind": kind.value, "state": DrainState.RUNNING.value, "source_node_id": source_node_id, "created_ms": now_ms}
    made = await conn.execute(insert(drain).values(**values))
    assert made.inserted_primary_key is not None
    return int(made.inserted_primary_key[0])


async def finish_drains(conn: AsyncConnection, now_ms: int) -> int:
    """Drains of which no move is left to do are done."""
    left = exists().where(move.c.drain_id == drain.c.id, _OPEN)
    done = update(drain).where(drain.c.state == DrainState.RUNNING.value, ~left)
    return (await conn.execute(done.values(state=DrainState.DONE.value, finished_ms=now_ms))).rowcount


async def cancel_drain(conn: AsyncConnection, drain_id: int, now_ms: int, reason: str) -> bool:
    """Moves that wait are not begun; those under way end by themselves. False when it had ended."""
    mine = and_(drain.c.id == drain_id, drain.c.state == DrainState.RUNNING.value)
    ended = update(drain).where(mine).values(state=DrainState.CANCELLED.value, finished_ms=now_ms)
    if not (await conn.execute(ended)).rowcount:
        return False
    waits = and_(move.c.drain_id == drain_id, move.c.state == MoveState.WAITING.value)
    values = {"state": MoveState.CANCELLED.value, "reason": reason, "updated_ms": now_ms}
    await conn.execute(update(move).where(waits).values(values))
    return True


async def evacuating(conn: AsyncConnection) -> dict[int, int]:
    """Open drains of silent nodes by the node's id."""
    running = and_(drain.c.kind == DrainKind.EVACUATION.value, drain.c.state == DrainState.RUNNING.value)
    return {row[0]: row[1] for row in await conn.execute(select(drain.c.source_node_id, drain.c.id).where(running))}


async def progress(conn: AsyncConnection, drain_id: int | None = None) -> list[DrainProgress]:
    """One drain, or the last of each node; without their moves."""
    last = select(func.max(drain.c.id)).group_by(drain.c.source_node_id)
    which = drain.c.id == drain_id if drain_id is not None else drain.c.id.in_(last)
    rows = await all_rows(conn, select(drain).where(which).order_by(drain.c.source_node_id))
    ids = [row["id"] for row in rows]
    counted = select(move.c.drain_id, move.c.state, func.count()).where(move.c.drain_id.in_(ids))
    counts: dict[int, dict[str, int]] = {id_: {} for id_ in ids}
    for id_, state, n in await conn.execute(counted.group_by(move.c.drain_id, move.c.state)):
        counts[id_][state.lower()] = n
    return [
        DrainProgress(
            id=row["id"],
            kind=DrainKind(row["kind"]),
            state=DrainState(row["state"]),
            source_node_id=row["source_node_id"],
            created_at=from_epoch_ms(row["created_ms"]),
            finished_at=from_epoch_ms(row["finished_ms"]) if row["finished_ms"] else None,
        ).model_copy(update=counts[row["id"]])
        for row in rows
    ]


async def moves_of(conn: AsyncConnection, drain_id: int, limit: int) -> list[Move]:
    """The drain's moves: failed ones first, then those under way, the latest first."""
    order = case((move.c.state == MoveState.FAILED.value, 0), (move.c.state == MoveState.MOVING.value, 1), else_=2)
    query = select(move).where(move.c.drain_id == drain_id).order_by(order, move.c.updated_ms.desc(), move.c.id)
    return [shown(row) for row in await rows_as(MoveRow, conn, query.limit(limit))]


def shown(row: MoveRow) -> Move:
    return Move(
        app_id=row.app_id,
        source_node_id=row.source_node_id,
        target_node_id=row.target_node_id or row.wanted_node_id,
        state=MoveState(row.state),
        reason=row.reason,
        job_id=row.job_id,
        updated_at=from_epoch_ms(row.updated_ms),
    )


async def prune(conn: AsyncConnection, before_ms: int) -> int:
    """Moves and drains that ended before then are forgotten, but for each node's last drain."""
    last = select(func.max(drain.c.id)).group_by(drain.c.source_node_id)
    kept = list((await conn.execute(last)).scalars())
    old = and_(move.c.state.not_in(OPEN), move.c.updated_ms < before_ms)
    gone = await conn.execute(move.delete().where(old, func.coalesce(move.c.drain_id, 0).not_in(kept)))
    ended = and_(drain.c.state != DrainState.RUNNING.value, drain.c.finished_ms < before_ms)
    await conn.execute(drain.delete().where(ended, drain.c.id.not_in(kept)))
    return gone.rowcount
