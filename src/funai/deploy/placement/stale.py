"""What apps left behind on nodes they were moved away from.

A reassign or drain only changes where the app's *next* deploy goes: its container stays on the old node, and serves,
until that deploy succeeded. From then on (``ready``) the old node may remove it, and learns so from the answers to its
heartbeats (``stalePlacements``) for an hour; removing is idempotent. A container that could not be removed when its app
was deleted is remembered the same way. Every function runs in the caller's transaction.
"""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.deploy.placement import store
from funai.deploy.tables import leftover

TELL_MS = 3_600_000
MAX_TOLD = 1_000


async def leave(conn: AsyncConnection, app_id: int, node_id: int, now_ms: int, *, ready: bool) -> None:
    """Remember that the app's container may still be on this node."""
    here = (leftover.c.app_id == app_id) & (leftover.c.node_id == node_id)
    row = {"app_id": app_id, "node_id": node_id, "ready": int(ready), "created_ms": now_ms}
    if not await store.insert_new(conn, leftover, row):
        await conn.execute(update(leftover).where(here).values(ready=int(ready), told_ms=None))


_FORGET = delete(leftover).where(leftover.c.app_id == bindparam("p_app"), leftover.c.node_id == bindparam("p_node"))


async def forget(conn: AsyncConnection, app_id: int, node_id: int) -> None:
    """The app belongs to this node (again), or nothing of it is left there."""
    await conn.execute(_FORGET, {"p_app": app_id, "p_node": node_id})


async def serves_on(conn: AsyncConnection, app_id: int, node_id: int) -> None:
    """The app was deployed on this node: what is left of it on any other can go."""
    await forget(conn, app_id, node_id)
    await release_all(conn, app_id)


async def release_all(conn: AsyncConnection, app_id: int) -> None:
    """Nothing that the app left anywhere is needed any more."""
    await conn.execute(update(leftover).where(leftover.c.app_id == app_id, leftover.c.ready == 0).values(ready=1, told_ms=None))


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
