"""Following Deploy's events, so that an app's end is known when it happens and not at the next sweep."""

from __future__ import annotations

import asyncio

from sqlalchemy import select

from funai.api.deploys.client_pool import DeployClientPool
from funai.api.deploys.tracker import Tracker
from funai.api.models import app_of
from funai.api.tables import apps
from funai.base.aio import Stopped, unless, wait_any
from funai.base.observability import log
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import JobEvent
from funai.contracts.states import AppStatus, JobStatus

WAIT_SECONDS = 20.0
AWAY_SECONDS = 2.0
SELDOM = 10
OLD_SECONDS = 60.0
"""A Deploy that has no such call is asked again after this: it may be upgraded meanwhile."""
_FINAL = frozenset(s.value for s in JobStatus if s.final)


class Follower:
    """Its cursor is in memory: what happened before a start is the tracker's sweep's."""

    def __init__(self, control: DeployClientPool, tracker: Tracker) -> None:
        self.control, self.tracker = control, tracker
        self._cursor: int | None = None
        self._hears = False
        self._skipped = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; without Deploy there is nothing to follow."""
        while self.control.enabled and not stop.is_set():
            try:
                await unless(stop, self.follow())
            except Stopped:
                return
            except Exception as e:  # noqa: BLE001  # the sweep goes on meanwhile, and following begins anew
                self._hears = False
                old = isinstance(e, FunaiError) and e.code in (404, 405)
                if not isinstance(e, FunaiError):
                    log.get("api.follower").exception("follower.crashed")
                await wait_any(stop, timeout=OLD_SECONDS if old else AWAY_SECONDS)

    async def sweep(self) -> None:
        """The tracker's sweep; one in ``SELDOM`` while events are heard, when it is only the safety net."""
        self._skipped += 1
        if not self._hears or self._skipped >= SELDOM:
            self._skipped = 0
            await self.tracker.sweep()

    async def follow(self) -> None:
        """One call. Raises what Deploy's client raises."""
        with self.control.asking(long=True) as deploy:
            heard = await deploy.events(self._cursor, wait=WAIT_SECONDS)
        self._cursor = heard.next
        self._hears = True
        await self._look(heard.events)

    async def _look(self, events: list[JobEvent]) -> None:
        ended = {e.app_id for e in events if e.target in _FINAL and e.app_id is not None}
        if not ended:
            return
        waiting = select(apps).where(apps.c.id.in_(ended), apps.c.status == int(AppStatus.DEPLOYING), apps.c.deleting == 0)
        await self.tracker.look_all([app_of(row) for row in await self.tracker.db.fetch_all(waiting)])
