"""Old images leave the registry: N releases of an app are kept (and what is live), the others' manifests deleted.

In two passes, so that nothing is deleted while in use. The first retires releases: from then on no rollback reaches
them. The second, at least ``GRACE_MS`` later and never while the app has an active job, deletes manifests that no kept
release of any app refers to. A rollback that was asked for in between has its job by then, and a release of its own
when it succeeded.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.aio import Stopped, periodic, unless
from funai.base.clients.registry.contract import Artifact, ImageRegistry, RegistryFailed, Why
from funai.base.db.engine import Database
from funai.base.observability import log
from funai.contracts import naming, rules
from funai.contracts.errors import BadInput
from funai.contracts.reasons import Reason
from funai.contracts.states import ACTIVE_STATUSES
from funai.deploy.releases import keeping, runs
from funai.deploy.releases.keeping import Needed
from funai.deploy.tables import job, release
from funai.i18n.reasons import render

GRACE_MS = 30_000
RIVALS_SECONDS = 3600.0
APPS_PER_PASS = 200
HISTORY = 50
"""Retired releases whose rows are kept for the record, of each app."""
_ACTIVE = [s.value for s in ACTIVE_STATUSES]
_CHUNK = 400


@dataclass(frozen=True, slots=True)
class Registry:
    """The one registry that is touched: its address as images name it, and the namespace of the apps' repositories."""

    images: ImageRegistry
    address: str
    namespace: str

    def repository(self, user_id: int, app_id: int) -> str:
        return f"{self.namespace}/{naming.repo_name(user_id, app_id)}"

    def holds(self, image: str, repository: str) -> bool:
        """Is this image in that repository of this registry?"""
        try:
            return rules.parse_image(image).repository == f"{self.address}/{repository}"
        except BadInput:
            return False


class Retention:
    """``sweep`` is run in the background, and by several Deploys at once without harm. Also ``apps.RemoteImages``."""

    def __init__(
        self,
        db: Database,
        registry: Registry,
        *,
        keep: int = 3,
        grace_ms: int = GRACE_MS,
        metrics: CollectorRegistry | None = None,
    ) -> None:
        self.db, self.registry, self.keep, self.grace_ms = db, registry, keep, grace_ms
        self.problems: list[dict[str, str]] = []
        """What an operator has to change, in both languages."""
        self._rivals_due = 0.0
        self.deleted = Counter(
            "funai_deploy_registry_manifests_deleted_total", "Manifests deleted from the registry", registry=metrics
        )

        self.failed = False
        """Whether the registry refused what the latest pass asked of it."""
        failing = Gauge(
            "funai_deploy_retention_failing", "1 while the registry refuses what retention asks of it", registry=metrics
        )
        failing.set_function(lambda: self.failed)

    async def run(self, every: float, stop: asyncio.Event) -> None:
        """``sweep`` every so many seconds until ``stop``; one that waits for the registry then is cut short."""
        with suppress(Stopped):
            await unless(stop, periodic("deploy.retention", every, self.sweep, stop))

    async def sweep(self) -> None:
        """One pass over what is due. When the registry fails the rest waits for the next pass."""
        await self._look_for_rivals()
        try:
            for app_id in await self._to_clear():
                await self.clear(app_id)
            self.failed = False
        except RegistryFailed as e:
            self.failed = True
            log.get("retention").warning("retention.registry_failed", error=str(e))
        for app_id in await self._to_retire():
            await self.retire(app_id)

    async def retire(self, app_id: int) -> list[int]:
        """Retire the app's releases beyond those kept; answers their numbers."""

        async def work(conn: AsyncConnection) -> list[int]:
            live, _ = await runs.live(conn, app_id)
            mine = and_(release.c.app_id == app_id, release.c.retired == 0)
            numbers = (await conn.execute(select(release.c.number).where(mine))).scalars()
            old = keeping.to_retire(numbers, self.keep, live)
            if old:
                values = {"retired": 1, "retired_ms": self.db.now_ms()}
                await conn.execute(update(release).where(mine, release.c.number.in_(old)).values(values))
            return old

        retired = await self.db.retrying(work)
        if retired:
            log.get("retention").info("releases.retired", app_id=app_id, numbers=retired)
        return retired

    async def clear(self, app_id: int) -> list[str]:
        """Delete what the app's retired releases alone needed; answers the digests. Raises RegistryFailed."""
        async with self.db.read() as conn:
            rows = await self._retired(conn, app_id)
            if not rows or await self._busy(conn, app_id):
                return []
            users = {r["user_id"] for r in rows if r["user_id"] is not None}
        gone: list[str] = []
        for repository in sorted(self.registry.repository(u, app_id) for u in users):
            mine = {r["digest"] for r in rows if r["digest"] and self.registry.holds(r["image"], repository)}
            if mine:
                done, deleted = await self._clear_repository(app_id, repository, mine)
                gone.extend(deleted)
                if not done:
                    return gone
        await self.db.retrying(lambda conn: self._seen_to(conn, app_id, [r["id"] for r in rows]))
        return gone

    async def remove_app(self, user_id: int, app_id: int) -> str:
        """Delete the app's repository but for what another app's kept release runs. Raises RegistryFailed."""
        repository = self.registry.repository(user_id, app_id)
        doomed, listed = await self.removable(repository, app_id)
        deleted = [d for d in sorted(doomed) if await self._delete(repository, d)]
        kept = len(listed - doomed)
        if not kept:
            await self.registry.images.forget(repository)
        return f"{len(deleted)} manifests deleted from {repository}" + (f", {kept} kept for other apps" if kept else "")

    async def removable(self, repository: str, app_id: int) -> tuple[frozenset[str], frozenset[str]]:
        """Digests that no other app's kept release refers to, and all that the registry lists. Raises RegistryFailed."""
        async with self.db.read() as conn:
            query = select(release.c.image, release.c.digest).where(release.c.app_id == app_id)
            rows = (await conn.execute(query.where(release.c.digest.is_not(None)))).all()
        known = {r.digest for r in rows if self.registry.holds(r.image, repository)}
        listed = await self.registry.images.artifacts(repository)
        async with self.db.read() as conn:
            needed = await self._needed(conn, known | {a.digest for a in listed}, repository, without_app=app_id)
        doomed = await self._doomed(repository, known, listed, needed, everything=True)
        return doomed, frozenset(a.digest for a in listed)

    # ------------------------------------------------------------------ parts

    async def _look_for_rivals(self) -> None:
        """Whether the registry deletes by rules of its own, looked at once an hour."""
        if time.monotonic() < self._rivals_due:
            return
        self._rivals_due = time.monotonic() + RIVALS_SECONDS
        namespace = self.registry.namespace
        try:
            rules = await self.registry.images.rivals(namespace)
        except RegistryFailed as e:
            # Robots of older Harbors may not read the policy.
            log.get("retention").info("retention.rivals_unknown", namespace=namespace, error=str(e))
            return
        self.problems = []
        if rules:
            known = {"namespace": namespace, "rules": "; ".join(rules)}
            self.problems = [{language: render(Reason.REGISTRY_RIVAL, language, known) for language in ("zh", "en")}]
            log.get("retention").warning("retention.rival", namespace=namespace, rules=rules, error=self.problems[0]["en"])

    async def _clear_repository(self, app_id: int, repository: str, mine: set[str]) -> tuple[bool, list[str]]:
        """Answers whether all is done, and what was deleted; a job that begins meanwhile ends it early."""
        listed = await self.registry.images.artifacts(repository)
        async with self.db.read() as conn:
            needed = await self._needed(conn, mine | {a.digest for a in listed}, repository)
            if await self._wanted_by_a_job(conn, repository):
                return False, []
        doomed = await self._doomed(repository, mine, listed, needed)
        deleted: list[str] = []
        for digest in sorted(doomed):
            async with self.db.read() as conn:
                if await self._busy(conn, app_id):
                    return False, deleted
            if await self._delete(repository, digest):
                deleted.append(digest)
        if deleted:
            log.get("retention").info("registry.manifests_deleted", app_id=app_id, repository=repository, digests=deleted)
        return True, deleted

    async def _doomed(
        self, repository: str, known: set[str], listed: list[Artifact], needed: Needed, *, everything: bool = False
    ) -> frozenset[str]:
        wish = keeping.plan(known, listed, needed, everything=everything)
        if not wish.delete:
            return wish.delete
        staying = [await self.registry.images.artifact(repository, d) for d in sorted(wish.stay)]
        return keeping.spare_children(wish.delete, [a for a in staying if a is not None])

    async def _delete(self, repository: str, digest: str) -> bool:
        try:
            gone = await self.registry.images.delete(repository, digest)
        except RegistryFailed as e:
            if e.why is not Why.IMMUTABLE:
                raise
            # It stays for as long as the rule does; nothing else has to wait for it.
            log.get("retention").warning("registry.immutable", repository=repository, digest=digest, error=str(e))
            return False
        if gone:
            self.deleted.inc()
        return gone

    async def _to_retire(self) -> list[int]:
        query = select(release.c.app_id).where(release.c.retired == 0).group_by(release.c.app_id)
        async with self.db.read() as conn:
            many = query.having(func.count() > self.keep).order_by(release.c.app_id).limit(APPS_PER_PASS)
            return list((await conn.execute(many)).scalars())

    async def _to_clear(self) -> list[int]:
        due = (release.c.retired == 1) & (release.c.removed == 0) & (release.c.retired_ms <= self.db.now_ms() - self.grace_ms)
        query = select(release.c.app_id).where(due).distinct().order_by(release.c.app_id).limit(APPS_PER_PASS)
        async with self.db.read() as conn:
            return list((await conn.execute(query)).scalars())

    async def _retired(self, conn: AsyncConnection, app_id: int) -> list[dict[str, Any]]:
        due = and_(
            release.c.app_id == app_id,
            release.c.retired == 1,
            release.c.removed == 0,
            release.c.retired_ms <= self.db.now_ms() - self.grace_ms,
        )
        columns = (release.c.id, release.c.user_id, release.c.image, release.c.digest)
        return [dict(r) for r in (await conn.execute(select(*columns).where(due))).mappings()]

    async def _busy(self, conn: AsyncConnection, app_id: int) -> bool:
        """Has the app an active job? What it is about to deploy may be what would be deleted."""
        query = select(job.c.id).where(job.c.app_id == app_id, job.c.status.in_(_ACTIVE)).limit(1)
        return (await conn.execute(query)).first() is not None

    async def _wanted_by_a_job(self, conn: AsyncConnection, repository: str) -> bool:
        """Is any app, this or another, about to deploy an image of this repository by name?"""
        named = job.c.payload_json.like(f"%{repository}%")
        for text in (await conn.execute(select(job.c.payload_json).where(job.c.status.in_(_ACTIVE), named))).scalars():
            image = json.loads(text or "{}").get("image")
            if image and self.registry.holds(image, repository):
                return True
        return False

    async def _needed(
        self, conn: AsyncConnection, digests: set[str], repository: str, *, without_app: int | None = None
    ) -> Needed:
        """What kept releases, of whichever app, refer to: by digest, or by a tag where the digest is unknown.

        Those of this repository, and those of these digests under any other name (an address may have several).
        """
        kept = select(release.c.image, release.c.digest).where(release.c.retired == 0)
        if without_app is not None:
            kept = kept.where(release.c.app_id != without_app)
        here = await conn.execute(kept.where(release.c.image.like(f"{self.registry.address}/{repository}%")))
        rows = [r for r in here if self.registry.holds(r.image, repository)]
        tags = {rules.parse_image(r.image).tag or "latest" for r in rows if r.digest is None}
        needed = {r.digest for r in rows if r.digest is not None}
        for chunk in _chunks(sorted(digests)):
            needed.update(r.digest for r in await conn.execute(kept.where(release.c.digest.in_(chunk))))
        return Needed(needed, tags)

    async def _seen_to(self, conn: AsyncConnection, app_id: int, ids: list[int]) -> None:
        await conn.execute(update(release).where(release.c.id.in_(ids)).values(removed=1))
        retired = select(release.c.id).where(release.c.app_id == app_id, release.c.removed == 1)
        old = list((await conn.execute(retired.order_by(release.c.number.desc()).offset(HISTORY).limit(_CHUNK))).scalars())
        if old:
            await conn.execute(delete(release).where(release.c.id.in_(old)))


def _chunks(values: list[str]) -> Iterable[list[str]]:
    return (values[i : i + _CHUNK] for i in range(0, len(values), _CHUNK))
