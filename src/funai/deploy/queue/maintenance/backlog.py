"""Apps that had too many finished jobs before this process started."""

from __future__ import annotations

from sqlalchemy import func, select

from funai.base.db.engine import Database
from funai.deploy.queue.maintenance.pruner import Pruner
from funai.deploy.queue.maintenance.service import Maintenance
from funai.deploy.tables import job

APPS = 500


class Backlog(Maintenance):
    name, every = "deploy.old", 60.0

    def __init__(self, db: Database, pruner: Pruner) -> None:
        self.db, self.pruner = db, pruner
        self._last_app = 0

    async def run_once(self) -> int:
        """Walk on through the apps, ``APPS`` a call, and note those with too many jobs; answers how many."""
        apps = (
            select(job.c.app_id, func.count().label("jobs"))
            .where(job.c.app_id > self._last_app)
            .group_by(job.c.app_id)
            .order_by(job.c.app_id)
            .limit(APPS)
        )
        rows = await self.db.fetch_all(apps)
        self._last_app = rows[-1]["app_id"] if rows else 0
        found = [r["app_id"] for r in rows if r["jobs"] > self.pruner.config.keep_per_app]
        self.pruner.app_finished(*found)
        return len(found)
