"""The jobs of moves: an app's live release started on another node, through the queue as any deploy."""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts.errors import NotFound
from funai.contracts.states import JobStatus, JobType
from funai.deploy.queue.service import JobService
from funai.deploy.queue.store import NewJob
from funai.deploy.releases import runs
from funai.deploy.tables import job, release


@dataclass(frozen=True, slots=True)
class Running:
    """What matters of an app for a move. ``number``: its live release; ``busy``: its active job's status."""

    number: int | None
    stopped: bool
    busy: JobStatus | None

    @property
    def serves(self) -> bool:
        return self.number is not None and not self.stopped


class MoveJobs:
    def __init__(self, jobs: JobService) -> None:
        self.jobs = jobs

    async def running(self, conn: AsyncConnection, app_id: int) -> Running:
        """In the caller's transaction."""
        number, stopped = await runs.live(conn, app_id)
        row = (await conn.execute(self.jobs.store.sql.active, {"p_app": app_id})).mappings().first()
        return Running(number, stopped, JobStatus(row["status"]) if row else None)

    async def kept(self, conn: AsyncConnection, app_id: int, number: int) -> bool:
        """Whether the release can be run again: its image's digest is known and kept."""
        try:
            await self.jobs.store.releases.load(conn, app_id, number)
        except NotFound:
            return False
        return True

    async def start(self, app_id: int, number: int, target_node_id: int, key: str) -> int:
        """The id of the job that moves the app; the same for the same key.

        Raises NotFound(RELEASE_NOT_FOUND), Conflict(APP_DEPLOYING).
        """
        store = self.jobs.store
        async with store.db.read() as conn:
            again = await store.releases.load(conn, app_id, number)
            owner, name = await _whose(conn, app_id, number)
        payload = {"userId": owner, "appId": app_id, "appName": name, **again.facts, "moveOf": number}
        new = NewJob(
            type=JobType.BUILD_AND_DEPLOY.value,
            app_id=app_id,
            user_id=owner,
            payload={k: v for k, v in payload.items() if v is not None},
            env_sealed=again.env_sealed,
            idempotency_key=key,
            request_hash=key,
            target_node_id=target_node_id,
        )
        row = await store.create(new)
        if row.status == JobStatus.PENDING:
            self.jobs.count_created(row)
        return row.id

    async def aim(self, app_id: int, target_node_id: int) -> int | None:
        """Let the app's waiting deploy be its move; answers its id, None when there is none (any more)."""
        store = self.jobs.store

        async def work(conn: AsyncConnection) -> int | None:
            given = {"p_app": app_id, "p_target": target_node_id}
            if not (await conn.execute(store.sql.aim_waiting, given)).rowcount:
                return None
            row = (await conn.execute(store.sql.active, {"p_app": app_id})).mappings().first()
            return int(row["id"]) if row else None

        found = await store.db.retrying(work)
        if found is not None:
            await self.jobs.nodes_changed()
            self.jobs.waiters.wake()
        return found


async def _whose(conn: AsyncConnection, app_id: int, number: int) -> tuple[int | None, str | None]:
    """The app's owner, and its name as the job that made the release had it."""
    made = select(release.c.user_id, job.c.payload_json).select_from(release.outerjoin(job, job.c.id == release.c.job_id))
    row = (await conn.execute(made.where(release.c.app_id == app_id, release.c.number == number))).first()
    if row is None:
        return None, None
    name = json.loads(row.payload_json).get("appName") if row.payload_json else None
    return row.user_id, str(name)[:200] if name else None
