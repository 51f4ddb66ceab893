"""Deploy services of before: their jobs have texts for ids, no idempotency keys, and a bare answer to a deletion.

Text ids are counted here by numbers that were made from them. It can go when no installation has such a Deploy service.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from pydantic import ValidationError
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from funai.api.models import now_ms
from funai.api.tables import old_jobs
from funai.base.clients.deploy import DeployClient
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.contracts.accounts import AppDeleted, CleanupStep
from funai.contracts.compat import number_of, stands_for_text
from funai.contracts.jobs import Job


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


async def job_without_keys(deploy: DeployClient, app_id: int, known: int) -> Job | None:
    """The app's only job since ``known``, the last one that the API knew. Raises what Deploy's client raises."""
    jobs = await deploy.jobs_by_app(app_id, 1)
    return next((j for j in jobs if j.id > known or (stands_for_text(j.id) and j.id != known)), None)


def steps_of(report: dict[str, object]) -> list[CleanupStep]:
    """Deploy's report, whose steps stand for themselves; a bare answer is one step."""
    try:
        known = AppDeleted.model_validate(report)
    except ValidationError:
        return [CleanupStep(step="runtime", ok=True)]
    return known.steps or [CleanupStep(step="runtime", ok=known.complete)]
