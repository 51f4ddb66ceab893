"""Jobs of an installation that was taken over go on answering to their text ids.

It can go when no such job is kept.
"""

from __future__ import annotations

from sqlalchemy import select

from funai.base.db.engine import Database
from funai.contracts.errors import NotFound
from funai.contracts.reasons import Reason
from funai.deploy.tables import job


async def number(db: Database, ref: int | str) -> int:
    """The job's number, whichever way it is named. Raises NotFound(JOB_NOT_FOUND)."""
    if isinstance(ref, int):
        return ref
    row = await db.fetch_one(select(job.c.id).where(job.c.old_id == ref))
    if row is None:
        raise NotFound(Reason.JOB_NOT_FOUND)
    return int(row["id"])
