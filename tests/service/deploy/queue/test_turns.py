"""Whose turn it is after a time in which nothing could be placed."""

from __future__ import annotations

from sqlalchemy import update

from funai.base.db.engine import Database
from funai.deploy.queue.store import JobStore, NewJob
from funai.deploy.settings import QueueOrder
from funai.deploy.tables import job
from tests.service.deploy.queue.neighbours import OneNode, Recorded


async def test_a_newcomer_is_not_behind_all_that_wait_for_a_node(deploy_db: Database) -> None:
    """They go on in the order of their last tries, in which the last turn may be the first."""
    placer = OneNode()
    store = JobStore(deploy_db, placer=placer, releases=Recorded(), order=QueueOrder.FAIR)
    placer.able = False
    for app_id in range(1, 9):
        await store.create(NewJob("BUILD_AND_DEPLOY", app_id, 1, {}))
    assert (await store.claim("r", 60_000)).claimed is None
    async with deploy_db.write() as conn:
        await conn.execute(update(job).values(available_at_ms=1_000 - job.c.turn))
    mine = await store.create(NewJob("BUILD_AND_DEPLOY", 9, 2, {}))
    placer.able = True
    async with deploy_db.write() as conn:
        await conn.execute(update(job).values(claimable=1))
    served = [await store.claim("r", 60_000) for _ in range(9)]
    order = [turn.claimed.row.id for turn in served if turn.claimed]
    assert order.index(mine.id) <= 1
