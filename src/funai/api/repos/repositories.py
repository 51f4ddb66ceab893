"""Apps' repositories: made with the app, or later when their host is away, and removed with it.

An app is never lost to a host that is away: it is created with ``repoStatus`` PENDING. A sweep goes on trying, and so does the
first deploy, which says REPO_HOST_FAILED when the host is still away.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import or_, select

from funai.api.apps import repo_state
from funai.api.deploys.policy import Defaults
from funai.api.models import AppRow, app_of, now_ms
from funai.api.repos.host import RepoHost, RepoHostFailed
from funai.api.tables import apps, users
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts.errors import FunaiError
from funai.contracts.states import RepoStatus
from funai.i18n.reasons import Words

MAKE_SECONDS = 10.0
"""For so long a caller waits for the host."""
FIRST_TRY_MS = 60_000
"""For so long the caller's own try is left alone by the sweep."""
PAUSE_MS, LONGEST_PAUSE_MS = 10_000, 600_000
PER_SWEEP = 20
IN_GIT_SERVER, IN_GITEA = 1, 2
"""Values of ``repo_ready``: an app whose repository was made in the other kind of host gets one here."""
_AGAIN = Words("请稍后再试", "try again soon")


class Repositories:
    def __init__(self, db: Database, clock: Clock, defaults: Defaults, host: RepoHost | None, *, kind: int) -> None:
        """``host`` None: repositories are not the API's to make. ``kind`` is IN_GIT_SERVER or IN_GITEA."""
        self.db, self.clock, self.defaults, self.host, self.kind = db, clock, defaults, host, kind

    def first_try(self) -> dict[str, object]:
        """Columns of a new app's row."""
        return {"repo_ready": 0, "repo_next": now_ms(self.clock) + FIRST_TRY_MS}

    def status(self, row: AppRow) -> RepoStatus | None:
        if self.host is None or self.defaults.ssh_host is None:
            return None
        return RepoStatus.READY if row.repo_ready == self.kind else RepoStatus.PENDING

    async def make(self, row: AppRow) -> None:
        """A new app's repository, now if its host allows; else the sweep makes it later."""
        if self.host is None:
            return
        try:
            await self._set_up(row)
        except RepoHostFailed as e:
            self._warn(row, e)
            await self._later(row)

    async def need(self, row: AppRow) -> None:
        """A deploy is about to clone it. Raises RepoHostFailed."""
        if self.host is not None and row.repo_ready != self.kind:
            await self._set_up(row)

    async def ensure(self, user_id: int, app_id: int) -> None:
        """A push to it is about to come: made if it isn't there. Raises RepoHostFailed."""
        if self.host:
            try:
                await self.host.ensure(self.defaults.repo(user_id, app_id))
            except OSError as e:
                raise RepoHostFailed(_AGAIN) from e

    async def drop(self, user_id: int, app_id: int) -> None:
        """A step of the app's deletion. Raises FunaiError, OSError."""
        if self.host:
            await self.host.delete(self.defaults.repo(user_id, app_id))

    async def discard(self, repo: str) -> None:
        """Remove a repository whose app is no more. Raises FunaiError, OSError."""
        if self.host:
            await self.host.delete(repo)

    async def close(self) -> None:
        if self.host:
            await self.host.close()

    async def sweep(self) -> None:
        """Try again what is due; the first failure of the host ends it until the next pass."""
        if self.host is None:
            return
        due = or_(apps.c.repo_next.is_(None), apps.c.repo_next <= now_ms(self.clock))
        waiting = select(apps).where(apps.c.repo_ready != self.kind, apps.c.deleting == 0, due)
        for row in map(app_of, await self.db.fetch_all(waiting.order_by(apps.c.repo_next, apps.c.id).limit(PER_SWEEP))):
            if not await self._later(row):
                continue
            try:
                await self._set_up(row)
            except RepoHostFailed as e:
                self._warn(row, e)
                return

    async def _set_up(self, row: AppRow) -> None:
        """The whole order of calls; see the contract of ``RepoHost``. Raises RepoHostFailed."""
        assert self.host is not None
        repo = self.defaults.repo(row.user_id, row.id)
        account = await self.db.fetch_one(select(users.c.git_account).where(users.c.id == row.user_id))
        try:
            async with asyncio.timeout(MAKE_SECONDS):
                await self.host.ensure(repo)
                await self.host.grant(repo, account["git_account"] if account else None)
                await self.host.webhook(repo)
                if not await self._ready(row.id):
                    await self.host.delete(repo)  # the app was deleted meanwhile, perhaps before there was a repository
        except RepoHostFailed:
            raise
        except (FunaiError, OSError, TimeoutError) as e:
            raise RepoHostFailed(_AGAIN) from e

    async def _ready(self, app_id: int) -> bool:
        async with self.db.write() as conn:
            return await repo_state.ready(conn, app_id, self.kind)

    async def _later(self, row: AppRow) -> bool:
        """Put the next try off, the longer the older the app; answers whether this process is the one that did."""
        now = now_ms(self.clock)
        pause = min(max(PAUSE_MS, (now - row.create_time) // 2), LONGEST_PAUSE_MS)
        async with self.db.write() as conn:
            return await repo_state.put_off(conn, row.id, self.kind, row.repo_next, now + pause)

    def _warn(self, row: AppRow, e: RepoHostFailed) -> None:
        log.get("api.repos").warning("repo.pending", app_id=row.id, error=str(e), cause=str(e.__cause__ or ""))
