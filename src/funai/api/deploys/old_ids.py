"""Jobs of an older Deploy service have texts for ids; here they are counted by numbers that were made from those.

It can go when no installation has a Deploy service of before.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from funai.api.models import now_ms
from funai.api.tables import old_jobs
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.contracts.oldids import number_of


class OldJobIds:
    """Keeps which text stands behind which number, for as long as the API's own database."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def learn(self, old_ids: Sequence[str]) -> None:
        """Remembers ids that are new here."""
        wanted = {number_of(text): text for text in old_ids}
        known = await self.db.fetch_all(select(old_jobs.c.number).where(old_jobs.c.number.in_(wanted)))
        for number in wanted.keys() - {int(row["number"]) for row in known}:
            row = {"number": number, "old_id": wanted[number], "create_time": now_ms(self.clock)}
            with suppress(IntegrityError):  # another instance was faster
                async with self.db.write() as conn:
                    await conn.execute(insert(old_jobs).values(row))

    async def text(self, number: int) -> str | None:
        """The job's id at its Deploy service; None for one that was never seen here."""
        row = await self.db.fetch_one(select(old_jobs.c.old_id).where(old_jobs.c.number == number))
        return str(row["old_id"]) if row else None
