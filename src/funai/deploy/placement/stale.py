"""What apps left behind on nodes they were moved away from.

While an app moves its container stays on the old node, and serves, until it serves on the new one; then it stays for a
drain time (``due_ms``), in which open requests end. From then on (``ready``) the old node may remove it, and learns so from
the answers to its heartbeats (``stalePlacements``) for an hour; removing is idempotent. With a ``generation`` nothing newer
is removed, and the app's databases stay. What a failed move leaves on its target, and a container that could not be removed
when its app was deleted, are remembered the same way. Every function runs in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, bindparam, delete, exists, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.inserts import insert_new
from funai.contracts.nodes import Removal
from funai.deploy.tables import leftover

TELL_MS = 3_600_000
MAX_TOLD = 1_000


async def leave(
    conn: AsyncConnection,
    app_id: int,
    node_id: int,
    now_ms: int,
    *,
    ready: bool,
    due_ms: int | None = None,
    generation: int | None = None,
) -> None:
    """Remember that the app's container may still be on this node. ``due_ms``: when it becomes ready by itself."""
    here = (leftover.c.app_id == app_id) & (leftover.c.node_id == node_id)
    said = {"ready": int(ready), "due_ms": due_ms, "generation": generation}
    row = {"app_id": app_id, "node_id": node_id, "created_ms": now_ms, **said}
    if not await insert_new(conn, leftover, row):
        await conn.execute(update(leftover).where(here).values(told_ms=None, **said))


_FORGET = delete(leftover).where(leftover.c.app_id == bindparam("p_app"), leftover.c.node_id == bindparam("p_node"))


async def forget(conn: AsyncConnection, app_id: int, node_id: int) -> None:
    """The app belongs to this node (again), or nothing of it is left there."""
    await conn.execute(_FORGET, {"p_app": app_id, "p_node": node_id})


async def serves_on(conn: AsyncConnection, app_id: int, node_id: int, generation: int | None = None) -> None:
    """The app was deployed on this node: what is left of it on any other, up to this generation, can go; where requests
    may still run, after its drain time."""
    await forget(conn, app_id, node_id)
    waits = (leftover.c.app_id == app_id) & (leftover.c.ready == 0) & leftover.c.due_ms.is_(None)
    await conn.execute(update(leftover).where(waits).values(ready=1, told_ms=None, generation=generation))


async def release_all(conn: AsyncConnection, app_id: int, generation: int | None) -> None:
    """Nothing that the app, whose newest generation this is, left anywhere is needed any more."""
    waits = (leftover.c.app_id == app_id) & (leftover.c.ready == 0)
    await conn.execute(update(leftover).where(waits).values(ready=1, told_ms=None, generation=generation))


async def release_due(conn: AsyncConnection, now_ms: int) -> int:
    """What was left where a drain time is over can go; answers how many."""
    due = (leftover.c.ready == 0) & (leftover.c.due_ms <= now_ms)
    return (await conn.execute(update(leftover).where(due).values(ready=1, told_ms=None))).rowcount


def any_due(now_ms: ColumnElement[int]) -> ColumnElement[bool]:
    """Whether :func:`release_due` has something to do."""
    return exists().where(leftover.c.ready == 0, leftover.c.due_ms <= now_ms)


async def fences(conn: AsyncConnection, node_id: int, app_ids: Sequence[int]) -> list[Removal]:
    """Of these apps the ones that still exist, with the generation up to which the node removes them."""
    mine = (leftover.c.node_id == node_id) & leftover.c.generation.is_not(None) & leftover.c.app_id.in_(app_ids)
    query = select(leftover.c.app_id, leftover.c.generation).where(mine).order_by(leftover.c.app_id)
    return [Removal(app_id=row[0], generation=row[1]) for row in await conn.execute(query)]


async def nodes_of(conn: AsyncConnection, app_id: int) -> list[int]:
    """Nodes where something of the app may still be, the latest first."""
    query = select(leftover.c.node_id).where(leftover.c.app_id == app_id)
    return list((await conn.execute(query.order_by(leftover.c.created_ms.desc(), leftover.c.node_id))).scalars())


async def tell(conn: AsyncConnection, node_id: int, now_ms: int) -> list[int]:
    """Apps whose remains this node may remove, oldest first; what it was sent for an hour is dropped."""
    mine = (leftover.c.node_id == node_id) & (leftover.c.ready == 1)
    query = select(leftover.c.app_id, leftover.c.told_ms).where(mine).order_by(leftover.c.created_ms).limit(MAX_TOLD)
    rows = (await conn.execute(query)).all()
    if not rows:
        return []
    done = [r.app_id for r in rows if r.told_ms is not None and now_ms - r.told_ms > TELL_MS]
    fresh = [r.app_id for r in rows if r.told_ms is None]
    if done:
        await conn.execute(delete(leftover).where(mine, leftover.c.app_id.in_(done)))
    if fresh:
        await conn.execute(update(leftover).where(mine, leftover.c.app_id.in_(fresh)).values(told_ms=now_ms))
    return [r.app_id for r in rows if r.app_id not in set(done)]


async def forget_node(conn: AsyncConnection, node_id: int) -> None:
    """The node is gone, with all that was left on it."""
    await conn.execute(delete(leftover).where(leftover.c.node_id == node_id))
