"""Ending a job that its runner or its wait left behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts.jobs import Failure
from funai.contracts.reasons import FailureCode
from funai.contracts.states import JobStatus
from funai.deploy.queue.endings import Ending
from funai.deploy.queue.models import JobRow
from funai.deploy.queue.store import JobStore

ACTOR = "sweep"


class Ender:
    """``on_ended`` is called with the row of every job that maintenance ended, after the COMMIT."""

    def __init__(self, store: JobStore) -> None:
        self.store = store
        self.on_ended: Callable[[JobRow], None] = lambda _: None

    async def end(self, conn: AsyncConnection, row: JobRow, text: str, code: FailureCode) -> JobRow | None:
        """The row as it ended, or None when it moved on meanwhile. In the caller's transaction."""
        ending = Ending(JobStatus.FAILED, text, Failure(code=code, blame=code.blame), reason=code)
        if not await self.store.end_guarded(conn, row, ending, ACTOR):
            return None
        return replace(row, status=JobStatus.FAILED.value, reason=code.value)

    async def end_all(self, statement: Any, given: dict[str, Any], text: str, code: FailureCode) -> int:
        """End what the statement finds, each in its own transaction; answers how many."""
        ended = 0
        for row in map(JobRow.of, await self.store.db.fetch_all(statement, given)):
            done = await self.store.db.retrying(lambda conn, row=row: self.end(conn, row, text, code))
            if done:
                self.on_ended(done)
                ended += 1
        return ended
