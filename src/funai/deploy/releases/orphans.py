"""Repositories in the registry whose app is no more. Deploy holds no list of apps and no grace: the API brings both."""

from __future__ import annotations

import re

from sqlalchemy import select

from funai.base.clients.registry.contract import RegistryFailed
from funai.base.observability import log
from funai.contracts import naming
from funai.contracts.apps.databases import FindOrphanImages, Orphans
from funai.contracts.errors import Conflict
from funai.contracts.reasons import Reason
from funai.contracts.states import ACTIVE_STATUSES
from funai.deploy.releases.retention import Retention
from funai.deploy.tables import job

REGISTRY = "registry"
_NAME = re.compile(re.escape(naming.repo_name(0, 0)).replace("0", "([1-9][0-9]{0,18})"))


class OrphanImages:
    """``retention`` None: the registry's clean-up is switched off, and nothing is looked at."""

    def __init__(self, retention: Retention | None) -> None:
        self._retention = retention

    async def run(self, asked: FindOrphanImages) -> Orphans:
        """Raises Conflict ``ORPHANS_NO_APPS`` for an empty list. What the registry refuses is in ``failed``."""
        existing = asked.existing
        if not existing:
            raise Conflict(Reason.ORPHANS_NO_APPS)
        answer = Orphans(node=REGISTRY)
        if self._retention is None:
            return answer
        try:
            await self._look(self._retention, existing, asked, answer)
        except RegistryFailed as e:
            answer.failed.append(str(e))
        return answer

    async def _look(self, retention: Retention, existing: set[int], asked: FindOrphanImages, answer: Orphans) -> None:
        registry = retention.registry
        for name in sorted(await registry.images.repositories(registry.namespace)):
            found = _NAME.fullmatch(name.removeprefix(f"{registry.namespace}/"))
            user_id, app_id = (int(found[1]), int(found[2])) if found else (0, 0)
            if not app_id or app_id in existing or await self._busy(retention, app_id):
                continue
            doomed, listed = await retention.removable(name, app_id)
            if not (doomed & listed if listed else registry.images.keeps_empty):
                continue  # empty already, or all of it runs for another app
            answer.images.append(name)
            if name in asked.delete:
                log.get("orphans").info("orphan.deleted", done=await retention.remove_app(user_id, app_id))
                answer.deleted.append(name)

    async def _busy(self, retention: Retention, app_id: int) -> bool:
        """An app with an active job is there, whatever the list says."""
        active = select(job.c.id).where(job.c.app_id == app_id, job.c.status.in_([s.value for s in ACTIVE_STATUSES]))
        async with retention.db.read() as conn:
            return (await conn.execute(active.limit(1))).first() is not None
