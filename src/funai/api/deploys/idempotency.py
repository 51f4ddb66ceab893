"""Idempotency-Key: the same key with the same request gets the same answer, also when the two race."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass

from sqlalchemy import delete, select

from funai.api.deploys.keys import Remember
from funai.api.models import now_ms
from funai.api.tables import idempotency
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.contracts.errors import BadInput, Conflict
from funai.contracts.jobs import Job
from funai.contracts.reasons import Reason

KEPT_SECONDS = 24 * 3600
_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The key is known, and what became of its request is not: it may be asked for again, as the same operation."""

    op_key: str


def remember(key: str, request: dict[str, object]) -> Remember:
    """The record of ``key`` for ``request`` (plain JSON). Raises BadInput."""
    if not 1 <= len(key) <= 200 or not key.isascii() or not key.isprintable():
        raise BadInput(Reason.IDEMPOTENCY_KEY_INVALID)
    body = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return Remember(hashlib.sha256(key.encode()).hexdigest(), hashlib.sha256(body.encode("utf-8", "replace")).hexdigest())


class Answers:
    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def find(self, user_id: int, record: Remember) -> Job | Unanswered | None:
        """The answer given before; waits a moment for a first request that is still under way.

        None when the key is unknown. Raises Conflict IDEMPOTENCY_MISMATCH.
        """
        deadline = self.clock.monotonic() + _WAIT_SECONDS
        while True:
            row = await self.db.fetch_one(
                select(idempotency).where(idempotency.c.user_id == user_id, idempotency.c.key_hash == record.key_hash)
            )
            if row is None:
                return None
            if row["request_hash"] != record.request_hash:
                raise Conflict(Reason.IDEMPOTENCY_MISMATCH)
            if row["answer"] is not None:
                return Job.model_validate_json(str(row["answer"]))
            if self.clock.monotonic() >= deadline:
                return Unanswered(str(row["op_key"]))
            await asyncio.sleep(0.05)

    async def prune(self) -> int:
        """Forget records older than a day; answers how many."""
        oldest = now_ms(self.clock) - KEPT_SECONDS * 1000
        async with self.db.write() as conn:
            gone = await conn.execute(delete(idempotency).where(idempotency.c.create_time < oldest))
        return int(gone.rowcount)
