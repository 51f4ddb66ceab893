"""Finished jobs of no app, which only Deploy's own secret can make."""

from __future__ import annotations

from dataclasses import dataclass

from funai.base.db.engine import Database
from funai.deploy.queue.maintenance.pruner import drop
from funai.deploy.queue.maintenance.service import Maintenance
from funai.deploy.queue.statements import ownerless_candidates


@dataclass(frozen=True, slots=True)
class OwnerlessConfig:
    """Jobs; ``batches`` is the most of a pass."""

    keep: int = 200
    batch: int = 50
    batches: int = 20


class OwnerlessPruner(Maintenance):
    name, every = "deploy.ownerless", 60.0

    def __init__(self, db: Database, config: OwnerlessConfig) -> None:
        self.db, self.config = db, config

    async def run_once(self) -> int:
        """Drop all beyond the newest ``keep``, in small batches; answers how many."""
        total = 0
        for _ in range(self.config.batches):
            dropped = await drop(self.db, ownerless_candidates(), {"p_keep": self.config.keep}, self.config.batch)
            if not dropped:
                break
            total += dropped
        return total
