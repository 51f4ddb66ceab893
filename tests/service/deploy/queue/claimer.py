"""A claimer in a process of its own: takes jobs from the database until none is left, and writes down what it did."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import func, select

from funai.base.db.engine import Database
from funai.contracts.errors import Conflict, Unavailable
from funai.contracts.states import JobStatus
from funai.deploy.queue.endings import Ending
from funai.deploy.queue.models import JobRow
from funai.deploy.queue.statements import ACTIVE
from funai.deploy.queue.store import JobStore
from funai.deploy.queue.transitions import Holder
from funai.deploy.settings import QueueOrder
from funai.deploy.tables import job
from tests.service.deploy.queue.neighbours import OneNode, Recorded


def work(url: str, runner_id: str, out: Path, lease_ms: int) -> None:
    """Entry of the process. ``out`` gets a line ``id attempt`` for every job whose report was taken."""
    asyncio.run(_work(url, runner_id, out, lease_ms))


async def _work(url: str, runner_id: str, out: Path, lease_ms: int) -> None:
    db = Database(url, pool_size=2)
    store = JobStore(db, placer=OneNode(), releases=Recorded(), order=QueueOrder.FAIR)
    with out.open("a") as told:
        while True:
            turn = await _again(store, runner_id, lease_ms)
            if turn is None:
                if await _all_done(db):
                    break
                await asyncio.sleep(0.05)
                continue
            row = turn
            try:
                who = Holder(runner_id, row.lease_token)
                await store.report(row.id, who, Ending(JobStatus.SUCCEEDED), None)
            except Conflict:
                continue  # rescued meanwhile: somebody else's now
            told.write(f"{row.id} {row.attempt}\n")
            told.flush()
    await db.close()


async def _again(store: JobStore, runner_id: str, lease_ms: int) -> JobRow | None:
    try:
        turn = await store.claim(runner_id, lease_ms)
    except Unavailable:  # SQLite's one writer was somebody else for too long
        return None
    return turn.claimed.row if turn.claimed else None


async def _all_done(db: Database) -> bool:
    row = await db.fetch_one(select(func.count().label("n")).select_from(job).where(ACTIVE))
    return row is not None and row["n"] == 0
