"""Releases in the database: written when a deploy succeeded, read to list them and to run one again.

A rollback that succeeds is a release of its own, with the digest of the one it went back to: the numbers tell what was
live when. So several releases of an app may share a digest.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import storable
from funai.contracts import rules
from funai.contracts.errors import BadInput, NotFound
from funai.contracts.jobs import JobResult, Release
from funai.contracts.reasons import Reason
from funai.contracts.wire import from_epoch_ms
from funai.deploy.compat.runners import implied_image
from funai.deploy.placement import relocate, stale
from funai.deploy.queue.ports import FinishedJob, StoredRelease
from funai.deploy.releases import runs
from funai.deploy.tables import release

DEFAULT_PORT = 3000
MAX_NUMBER = 2**31 - 1


class ReleaseBook:
    """``jobs.ports.Releases``. Every call runs in the caller's transaction.

    ``drain_ms``: for how long an app that moved goes on where it was, so that open requests end.
    """

    def __init__(self, drain_ms: int = 30_000) -> None:
        self.drain_ms = drain_ms

    async def record(self, conn: AsyncConnection, job: FinishedJob, result: JobResult, now_ms: int) -> None:
        """The app's next release, and what it runs now. Without a usable image name there is no release to go back to."""
        if job.moved_release is not None:
            await runs.moved(conn, job, now_ms)
        else:
            await runs.succeeded(conn, job, await self._insert(conn, job, result, now_ms), now_ms)
        if job.node_id is None:
            return
        if job.node_id == job.target_node_id:
            await relocate.arrived(conn, job.app_id, job.node_id, job.generation, now_ms, self.drain_ms)
        else:
            await stale.serves_on(conn, job.app_id, job.node_id, job.generation)

    async def failed(self, conn: AsyncConnection, job: FinishedJob, status: str, error: str | None, now_ms: int) -> None:
        """How the app's last job ended; its live release stays what it was, and where. Of a deploy that was to move the app
        its target removes what came up there all the same."""
        if job.moved_release is None:
            await runs.ended(conn, job, status, error, now_ms)
        if job.target_node_id is not None and job.node_id == job.target_node_id:
            await stale.leave(conn, job.app_id, job.target_node_id, now_ms, ready=True, generation=job.generation)

    async def next_number(self, conn: AsyncConnection, app_id: int) -> int:
        """The number that the app's next release gets."""
        last = await conn.execute(select(func.max(release.c.number)).where(release.c.app_id == app_id))
        return (last.scalar_one() or 0) + 1

    async def load(self, conn: AsyncConnection, app_id: int, number: int) -> StoredRelease:
        """A release that can be run again: by its digest, or not at all (a tag may mean another image by now).

        Raises NotFound(RELEASE_NOT_FOUND), also for one whose image is no longer kept.
        """
        if not 1 <= number <= MAX_NUMBER:
            raise NotFound(Reason.RELEASE_NOT_FOUND)
        query = select(release).where(release.c.app_id == app_id, release.c.number == number, release.c.retired == 0)
        row = (await conn.execute(query)).mappings().first()
        if row is None or row["digest"] is None:
            raise NotFound(Reason.RELEASE_NOT_FOUND)
        return StoredRelease(
            number=row["number"],
            image=by_digest(row["image"], row["digest"]),
            container_port=row["container_port"],
            health_path=row["health_path"],
            base_path=row["base_path"],
            git_sha=row["git_sha"],
            git_ref=row["git_ref"],
            env_sealed=row["env_sealed"],
            strip_prefix=None if row["strip_prefix"] is None else bool(row["strip_prefix"]),
        )

    async def list(self, conn: AsyncConnection, app_id: int, limit: int) -> list[Release]:
        """Releases that can be run again, newest first; ``live`` marks the one that serves."""
        number, stopped = await runs.live(conn, app_id)
        query = select(release).where(release.c.app_id == app_id, release.c.retired == 0)
        rows = (await conn.execute(query.order_by(release.c.number.desc()).limit(limit))).mappings()
        return [
            Release(
                **{k: r[k] for k in ("app_id", "number", "job_id", "image", "digest", "git_sha", "git_ref", "container_port")},
                live=r["number"] == number and not stopped,
                created_at=from_epoch_ms(r["created_ms"]),
            )
            for r in rows
        ]

    async def sealed_variables(self, conn: AsyncConnection, app_id: int, number: int) -> str | None:
        """The variables of a release that is listed, as they are sealed. Raises NotFound(RELEASE_NOT_FOUND)."""
        query = select(release.c.env_sealed).where(
            release.c.app_id == app_id, release.c.number == number, release.c.retired == 0
        )
        row = (await conn.execute(query)).first()
        if row is None:
            raise NotFound(Reason.RELEASE_NOT_FOUND)
        sealed: str | None = row.env_sealed
        return sealed

    async def _insert(self, conn: AsyncConnection, job: FinishedJob, result: JobResult, now_ms: int) -> int | None:
        image, digest = image_of(job, result)
        if image is None:
            return None
        number = await self.next_number(conn, job.app_id)
        payload = job.payload
        await conn.execute(
            insert(release).values(
                app_id=job.app_id,
                number=number,
                job_id=job.job_id,
                user_id=job.user_id,
                image=image,
                digest=digest,
                git_sha=_short(result.git_sha or payload.get("gitSha"), 64),
                git_ref=_whole(payload.get("gitRef"), 200),
                container_port=rules.port_or_none(result.container_port)
                or rules.port_or_none(payload.get("containerPort"))
                or DEFAULT_PORT,
                health_path=_short(result.health_path or payload.get("healthPath"), 500),
                base_path=_short(payload.get("basePath"), 500),
                env_sealed=job.env_sealed,
                strip_prefix=0 if result.strip_prefix is False else None,
                created_ms=now_ms,
            )
        )
        return number


async def forget(conn: AsyncConnection, app_id: int) -> int:
    """The app is deleted; answers how many releases it had."""
    return (await conn.execute(delete(release).where(release.c.app_id == app_id))).rowcount


def image_of(job: FinishedJob, result: JobResult) -> tuple[str | None, str | None]:
    """The image a job deployed and its digest, as the runner reported, or as the payload names it."""
    named = result.image or job.payload.get("image") or implied_image(job.payload, job.user_id, job.app_id)
    try:
        image = rules.parse_image(named) if named else None
        digest = rules.parse_image(f"x@{result.digest}").digest if result.digest else None
    except BadInput:
        return None, None
    return (str(image), digest or image.digest) if image else (None, None)


def by_digest(image: str, digest: str) -> str:
    """``registry/path@sha256:…``; without the tag, which engines refuse beside a digest."""
    return f"{rules.parse_image(image).repository}@{digest}"


def _whole(value: Any, limit: int) -> str | None:
    """None for what is longer: half a ref is another one, or none at all."""
    return storable(str(value)) if value and len(str(value)) <= limit else None


def _short(value: Any, limit: int) -> str | None:
    return storable(str(value)[:limit]) if value else None
