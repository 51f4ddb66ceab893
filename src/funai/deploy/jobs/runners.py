"""Remembering runners when they call. Written seldom, so that an idle runner costs the database nothing."""

from __future__ import annotations

import json
import time

from sqlalchemy import ColumnElement, bindparam, delete, insert, update
from sqlalchemy.exc import IntegrityError

from funai.base.db import Database
from funai.deploy.tables import runner

MAX_REMEMBERED = 10_000
KEPT_MS = 30 * 86_400_000
"""How long a silent runner is remembered: one in a container has a new name with each."""


class RunnerRegistry:
    """``stale_seconds``: a runner silent for longer shows as not healthy to the operator."""

    def __init__(self, db: Database, now: ColumnElement[int], stale_seconds: float) -> None:
        self.db, self.now = db, now
        self._every = min(15.0, stale_seconds / 4)
        self._seen: dict[str, tuple[float, tuple[str, ...]]] = {}

    async def seen(self, runner_id: str, labels: list[str] | None = None) -> None:
        """Remember that the runner called; to the database at most every quarter of the stale time."""
        before = self._seen.get(runner_id)
        told = tuple(labels) if labels is not None else before[1] if before else ()
        at = time.monotonic()
        if before and at - before[0] < self._every and before[1] == told:
            return
        if len(self._seen) >= MAX_REMEMBERED:
            self._seen.clear()
        self._seen[runner_id] = (at, told)
        try:
            await self._write(runner_id, json.dumps(told))
        except IntegrityError:  # another instance met it first
            await self._write(runner_id, json.dumps(told))

    async def forget(self) -> None:
        """Drop runners that haven't called for a month."""
        async with self.db.write() as conn:
            await conn.execute(delete(runner).where(runner.c.last_seen_ms < self.now - KEPT_MS))

    async def _write(self, runner_id: str, labels: str) -> None:
        touch = (
            update(runner)
            .where(runner.c.runner_id == bindparam("p_id"))
            .values(last_seen_ms=self.now, labels_json=bindparam("p_labels"))
        )
        async with self.db.write() as conn:
            if not (await conn.execute(touch, {"p_id": runner_id, "p_labels": labels})).rowcount:
                new = {"runner_id": runner_id, "labels_json": labels}
                await conn.execute(insert(runner).values(**new, last_seen_ms=self.now, created_ms=self.now))
