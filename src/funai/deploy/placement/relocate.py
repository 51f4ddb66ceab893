"""Changing where an app lives. Every function runs in the caller's transaction.

:func:`place_elsewhere` is for apps of which nothing runs that could be started again: only their next deploy goes there.
:func:`arrived` is the end of a move: the app serves on its target, in the transaction that says so.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts.errors import Conflict
from funai.contracts.reasons import Reason
from funai.deploy.placement import stale, store
from funai.deploy.placement.policy import Node, Rules
from funai.deploy.tables import placement


async def place_elsewhere(conn: AsyncConnection, app_id: int, target: Node, now_ms: int, rules: Rules) -> None:
    """Lock the app's placement, then count it on the target: the order every mover and every claim keeps.

    Raises Conflict(APP_DEPLOYING) while a runner has its job, Conflict(NODE_NOT_ELIGIBLE).
    """
    made = await store.settle(conn, app_id, target.id, None, now_ms)
    lives = await store.home(conn, app_id, None, now_ms)
    if await store.running_job(conn, app_id) is not None:
        raise Conflict(Reason.APP_DEPLOYING)
    if not made and lives is not None and lives.node_id == target.id:
        return
    if not await store.book(conn, target.id, now_ms, rules):
        raise Conflict(Reason.NODE_NOT_ELIGIBLE, health="changed")
    if lives is not None and not made:
        await stale.leave(conn, app_id, lives.node_id, now_ms, ready=False)
        await store.move(conn, app_id, target.id, now_ms)
    await stale.forget(conn, app_id, target.id)


async def arrived(conn: AsyncConnection, app_id: int, node_id: int, generation: int, now_ms: int, drain_ms: int) -> None:
    """The app serves on this node from now on. What it leaves behind goes ``drain_ms`` later, up to this generation."""
    if not await store.settle(conn, app_id, node_id, None, now_ms):
        lives = await store.home(conn, app_id, None, now_ms)
        if lives is not None and lives.node_id != node_id:
            due_ms = now_ms + drain_ms
            await stale.leave(conn, app_id, lives.node_id, now_ms, ready=False, due_ms=due_ms, generation=generation)
            await store.move(conn, app_id, node_id, now_ms)
    await stale.serves_on(conn, app_id, node_id, generation)


async def node_of(conn: AsyncConnection, app_id: int) -> int | None:
    """The id of the node where the app lives, nothing locked."""
    return (await conn.execute(select(placement.c.node_id).where(placement.c.app_id == app_id))).scalar_one_or_none()
