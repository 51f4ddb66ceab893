"""Events older than an operator keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from funai.base.db.engine import Database
from funai.deploy.events.store import EventStore
from funai.deploy.queue.maintenance.service import Maintenance

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class EventConfig:
    keep_days: int
    batch: int = 500
    batches: int = 100
    """In ten minutes: more than the busiest day writes in as many."""


class EventPruner(Maintenance):
    name, every = "deploy.events", 600.0

    def __init__(self, db: Database, events: EventStore, config: EventConfig) -> None:
        self.db, self.events, self.config = db, events, config

    async def run_once(self) -> int:
        """Drop old events in small batches, until none is old or it has been enough for now; answers how many."""
        dropped = 0
        for _ in range(self.config.batches):
            async with self.db.write() as conn:
                gone = await self.events.prune(conn, self.config.keep_days * DAY_MS, self.config.batch)
            dropped += gone
            if gone < self.config.batch:
                break
        return dropped
