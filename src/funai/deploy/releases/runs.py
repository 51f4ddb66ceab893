"""``fun_ai_deploy_app_run``: what an app runs now, where, and how its last job ended. In the caller's transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts.jobs import MAX_TEXT
from funai.contracts.states import JobStatus
from funai.deploy.jobs.ports import FinishedJob
from funai.deploy.placement import store as placements
from funai.deploy.tables import app_run


async def succeeded(conn: AsyncConnection, job: FinishedJob, number: int | None, now_ms: int) -> None:
    """The app runs what this job deployed. ``number`` is its release, None when there is none to go back to."""
    await _write(
        conn,
        job.app_id,
        {
            "node_id": job.node_id,
            "last_job_id": job.job_id,
            "last_job_status": JobStatus.SUCCEEDED.value,
            "last_error": None,
            "last_deployed_at": func.current_timestamp(),
            "last_active_at": func.current_timestamp(),
            "last_deployed_ms": now_ms,
            "live_release_number": number,
            "stopped_ms": None,
        },
    )


async def ended(conn: AsyncConnection, job: FinishedJob, status: str, error: str | None) -> None:
    """The last job ended without a deploy: what the app runs, and where, stays what it was."""
    await _write(
        conn,
        job.app_id,
        {
            "last_job_id": job.job_id,
            "last_job_status": status,
            "last_error": error[:MAX_TEXT] if error else None,
            "last_active_at": func.current_timestamp(),
        },
    )


async def set_stopped(conn: AsyncConnection, app_id: int, stopped_ms: int | None) -> None:
    """The app was taken off line at that time, or (None) serves again."""
    await conn.execute(update(app_run).where(app_run.c.app_id == app_id).values(stopped_ms=stopped_ms))


async def live(conn: AsyncConnection, app_id: int) -> tuple[int | None, bool]:
    """The number of the release the app runs (or would run again), and whether the app is stopped."""
    query = select(app_run.c.live_release_number, app_run.c.stopped_ms).where(app_run.c.app_id == app_id)
    row = (await conn.execute(query)).first()
    return (row.live_release_number, row.stopped_ms is not None) if row else (None, False)


async def _write(conn: AsyncConnection, app_id: int, values: dict[str, Any]) -> None:
    changed = await conn.execute(update(app_run).where(app_run.c.app_id == app_id).values(values))
    if changed.rowcount == 0:
        await placements.insert_new(conn, app_run, {"app_id": app_id, **values})
