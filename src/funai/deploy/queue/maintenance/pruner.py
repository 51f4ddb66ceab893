"""Finished jobs beyond the latest few of each app, with their logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from funai.base.db.engine import Database
from funai.deploy.queue.maintenance.service import Maintenance
from funai.deploy.queue.statements import prune, prune_candidates


@dataclass(frozen=True, slots=True)
class PruneConfig:
    keep_per_app: int
    batch: int = 50
    """Apps a pass, and jobs of one app a pass."""


class Pruner(Maintenance):
    name, every = "deploy.prune", 5.0

    def __init__(self, db: Database, config: PruneConfig) -> None:
        self.db, self.config = db, config
        self._apps: set[int] = set()

    def app_finished(self, *app_ids: int) -> None:
        """These apps may have more than ``keep_per_app`` finished jobs now."""
        self._apps.update(app_ids)

    async def run_once(self) -> int:
        """Prunes apps that lately finished a job; answers how many jobs were dropped."""
        dropped = 0
        for _ in range(min(len(self._apps), self.config.batch)):
            dropped += await self._prune(self._apps.pop())
        return dropped

    async def _prune(self, app_id: int) -> int:
        given = {"p_app": app_id, "p_keep": self.config.keep_per_app}
        dropped = await drop(self.db, prune_candidates(), given, self.config.batch)
        if dropped == self.config.batch:
            self._apps.add(app_id)
        return dropped


async def drop(db: Database, candidates: Any, given: dict[str, Any], batch: int) -> int:
    """Delete one batch of finished jobs with their logs; answers how many."""
    async with db.read() as conn:
        ids = list((await conn.execute(candidates, {**given, "p_limit": batch})).scalars())
    if not ids:
        return 0
    async with db.write() as conn:
        for statement in prune():
            await conn.execute(statement, {"p_ids": ids})
    return len(ids)
