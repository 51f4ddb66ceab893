"""What deleted apps left behind: at the nodes (databases, containers), at the repository host, and in the registry.

An empty or failed list of apps is refused: it would make everything an orphan. What is deleted was listed before the apps were,
so that what an app made meanwhile is never among it. What looks orphaned is deleted only when it is asked for, and has looked
so for the grace; since when, nodes remember for themselves, and a table of the API's for the other places.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.apps.service import app_ids
from funai.api.deploys.client_pool import DeployClientPool
from funai.api.models import now_ms
from funai.api.repos.access import parse_repo
from funai.api.repos.repositories import Repositories
from funai.api.settings import OrphanMode
from funai.api.tables import orphans, sweeps
from funai.base.clock import Clock
from funai.base.db.engine import Database
from funai.base.db.inserts import insert_new
from funai.base.observability import log
from funai.contracts.apps.databases import FindOrphanImages, FindOrphans, Orphans
from funai.contracts.errors import Conflict, FunaiError
from funai.contracts.reasons import Reason

GIT, REGISTRY = "git", "registry"
SWEEP = "orphans"
HOUR_MS = 3_600_000
MAX_LOGGED = 20
"""Names in one line of the log."""


@dataclass(frozen=True, slots=True)
class SweepRules:
    mode: OrphanMode
    every_hours: float
    grace_hours: float


class OrphanSweep:
    def __init__(self, db: Database, clock: Clock, repos: Repositories, control: DeployClientPool, rules: SweepRules) -> None:
        self.db, self.clock, self.repos, self.control, self.rules = db, clock, repos, control, rules

    async def find(self, *, delete: bool, grace_hours: float) -> list[Orphans]:
        """A row a place; one that fails says so and stops no other. Raises Conflict ORPHANS_NO_APPS, CalleeFailed."""
        there, git = await self._repositories()
        ids = await self._ids()
        if not ids:
            raise Conflict(Reason.ORPHANS_NO_APPS)
        git.repositories = sorted(repo for repo, app_id in there.items() if app_id not in set(ids))
        await self._drop_repositories(git, delete=delete, grace_hours=grace_hours)
        registry = await self._images(ids, delete=delete, grace_hours=grace_hours)
        nodes = await self._at_nodes(ids, delete=delete, grace_hours=grace_hours)
        return [*nodes, *(place for place in (git, registry) if place.found or place.failed)]

    async def sweep(self) -> None:
        """Once in ``every_hours``, by one of several instances; the first time after the first such pause."""
        if self.rules.mode is OrphanMode.OFF or not self.control.enabled or not await self._claim():
            return
        delete = self.rules.mode is OrphanMode.DELETE
        try:
            found = await self.find(delete=delete, grace_hours=self.rules.grace_hours)
        except Conflict as e:
            log.get("orphans").info("orphans.not_looked_for", why=e.message("en"))
            return
        for place in found:
            if place.found or place.failed:
                log.get("orphans").warning("orphans.found", place=place.node, mode=self.rules.mode.value, **_summary(place))

    # ------------------------------------------------------------------ parts

    async def _ids(self) -> list[int]:
        """Every app that there is, those being deleted too: their deletion cleans up by itself."""
        return await app_ids(self.db)

    async def _repositories(self) -> tuple[dict[str, int], Orphans]:
        """Repository → app id, of each that the template names."""
        answer = Orphans(node=GIT)
        host, defaults = self.repos.host, self.repos.defaults
        if host is None:
            return {}, answer
        try:
            names = await host.repositories(defaults.repo_owner)
        except (FunaiError, OSError) as e:
            answer.failed.append(str(e))
            return {}, answer
        return {name: named[1] for name in names if (named := parse_repo(name, defaults))}, answer

    async def _drop_repositories(self, git: Orphans, *, delete: bool, grace_hours: float) -> None:
        if git.failed:
            return  # not known: what was seen before goes on counting
        ripe = await self._ripe(GIT, git.repositories, grace_hours)
        git.waiting = [repo for repo in git.repositories if repo not in ripe]
        for repo in sorted(ripe) if delete else ():
            try:
                await self.repos.discard(repo)
            except (FunaiError, OSError) as e:
                git.failed.append(f"{repo}: {e}")
            else:
                log.get("orphans").info("orphan.deleted", place=GIT, name=repo)
                git.deleted.append(repo)

    async def _at_nodes(self, ids: list[int], *, delete: bool, grace_hours: float) -> list[Orphans]:
        """Deletes what was seen before the apps were read once more: one that was made meanwhile is among them."""
        asked = FindOrphans(**FindOrphans.fields_of(ids), grace_hours=grace_hours)
        with self.control.asking(long=True) as deploy:
            found = await deploy.orphans(asked)
            ripe = sorted({name for place in found for name in place.found if name not in place.waiting})
            if not (delete and ripe):
                return found
            now = FindOrphans.fields_of(await self._ids())
            return await deploy.orphans(FindOrphans(**now, delete=True, only=ripe, grace_hours=grace_hours))

    async def _images(self, ids: list[int], *, delete: bool, grace_hours: float) -> Orphans:
        asked = FindOrphanImages(**FindOrphanImages.fields_of(ids))
        try:
            with self.control.asking(long=True) as deploy:
                found = await deploy.orphan_images(asked)
                if found.failed:
                    return found
                ripe = await self._ripe(REGISTRY, found.images, grace_hours)
                if delete and ripe:
                    now = FindOrphanImages.fields_of(await self._ids())
                    found = await deploy.orphan_images(FindOrphanImages(**now, delete=sorted(ripe)))
        except FunaiError as e:
            return Orphans(node=REGISTRY, failed=[str(e)])
        found.waiting = [name for name in found.images if name not in ripe]
        return found

    async def _ripe(self, place: str, names: Iterable[str], grace_hours: float) -> set[str]:
        """Which of these have looked orphaned for the grace; others of the place are forgotten."""
        now, wanted = now_ms(self.clock), set(names)

        async def work(conn: AsyncConnection) -> dict[str, int]:
            mine = orphans.c.place == place
            query = select(orphans.c.name, orphans.c.since).where(mine)
            known = {str(r.name): int(r.since) for r in await conn.execute(query)}
            for name in sorted(known.keys() - wanted):
                await conn.execute(delete(orphans).where(mine, orphans.c.name == name))
            for name in sorted(wanted - known.keys()):
                await insert_new(conn, orphans, {"place": place, "name": name, "since": now})
            return known

        known = await self.db.retrying(work)
        return {name for name in wanted if now - known.get(name, now) >= grace_hours * HOUR_MS}

    async def _claim(self) -> bool:
        """Whether the pause is over and this instance is the one that goes."""
        now, row = now_ms(self.clock), {"name": SWEEP, "ran": now_ms(self.clock)}
        async with self.db.write() as conn:
            if await insert_new(conn, sweeps, row):
                return False
            due = update(sweeps).where(sweeps.c.name == SWEEP, sweeps.c.ran <= now - self.rules.every_hours * HOUR_MS)
            return bool((await conn.execute(due.values(ran=now))).rowcount)


def _summary(place: Orphans) -> dict[str, object]:
    names = place.found
    return {
        "orphaned": len(names),
        "names": names[:MAX_LOGGED],
        "waiting": len(place.waiting),
        "deleted": len(place.deleted),
        "failed": place.failed[:MAX_LOGGED],
        "consequence": "they take room; see `funai admin orphans`, and delete them with --delete",
    }
