"""``fun_ai_deploy_app_run``: what an app runs now, where, and how its last job ended. In the caller's transaction."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from sqlalchemy import Update, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.inserts import insert_new
from funai.contracts.jobs import MAX_TEXT
from funai.contracts.states import JobStatus
from funai.contracts.wire import from_epoch_ms
from funai.deploy.placement import store as placements
from funai.deploy.queue.ports import FinishedJob
from funai.deploy.tables import app_run


async def succeeded(conn: AsyncConnection, job: FinishedJob, number: int | None, now_ms: int) -> None:
    """The app runs what this job deployed. ``number`` is its release, None when there is none to go back to."""
    if await _node(conn, job.app_id) != job.node_id:
        await placements.serves(conn, job.app_id)
    await _write(
        conn,
        job.app_id,
        {
            "node_id": job.node_id,
            "last_job_id": job.job_id,
            "last_job_status": JobStatus.SUCCEEDED.value,
            "last_error": None,
            "last_deployed_at": _utc(now_ms),
            "last_active_at": _utc(now_ms),
            "last_deployed_ms": now_ms,
            "live_release_number": number,
            "stopped_ms": None,
        },
    )


_NODE = select(app_run.c.node_id).where(app_run.c.app_id == bindparam("p_app"))


async def _node(conn: AsyncConnection, app_id: int) -> int | None:
    """Where it was deployed last."""
    return (await conn.execute(_NODE, {"p_app": app_id})).scalar()


async def moved(conn: AsyncConnection, job: FinishedJob, now_ms: int) -> None:
    """The app runs the same release on another node."""
    await placements.serves(conn, job.app_id)
    await _write(conn, job.app_id, {"node_id": job.node_id, "last_active_at": _utc(now_ms), "stopped_ms": None})


async def ended(conn: AsyncConnection, job: FinishedJob, status: str, error: str | None, now_ms: int) -> None:
    """The last job ended without a deploy: what the app runs, and where, stays what it was."""
    await _write(
        conn,
        job.app_id,
        {
            "last_job_id": job.job_id,
            "last_job_status": status,
            "last_error": error[:MAX_TEXT] if error else None,
            "last_active_at": _utc(now_ms),
        },
    )


async def set_stopped(conn: AsyncConnection, app_id: int, stopped_ms: int | None) -> None:
    """The app was taken off line at that time, or (None) serves again."""
    await conn.execute(update(app_run).where(app_run.c.app_id == app_id).values(stopped_ms=stopped_ms))


async def forget(conn: AsyncConnection, app_id: int) -> int:
    """The app is deleted; answers 1 when it ever ran."""
    return (await conn.execute(delete(app_run).where(app_run.c.app_id == app_id))).rowcount


async def live(conn: AsyncConnection, app_id: int) -> tuple[int | None, bool]:
    """The number of the release the app runs (or would run again), and whether the app is stopped."""
    query = select(app_run.c.live_release_number, app_run.c.stopped_ms).where(app_run.c.app_id == app_id)
    row = (await conn.execute(query)).first()
    return (row.live_release_number, row.stopped_ms is not None) if row else (None, False)


async def was_deployed(conn: AsyncConnection, app_id: int) -> bool:
    """Did any deploy of the app succeed?"""
    query = select(app_run.c.last_deployed_ms, app_run.c.last_deployed_at).where(app_run.c.app_id == app_id)
    row = (await conn.execute(query)).first()
    return row is not None and any(v is not None for v in row)


@cache
def _change(names: tuple[str, ...]) -> Update:
    """Built once: making the statement costs as much as running it."""
    return update(app_run).where(app_run.c.app_id == bindparam("p_app")).values({n: bindparam(f"p_{n}") for n in names})


async def _write(conn: AsyncConnection, app_id: int, values: dict[str, object]) -> None:
    given = {f"p_{name}": value for name, value in values.items()}
    changed = await conn.execute(_change(tuple(values)), {"p_app": app_id, **given})
    if changed.rowcount == 0:
        await insert_new(conn, app_run, {"app_id": app_id, **values})


def _utc(now_ms: int) -> datetime:
    """As the columns that existing installations have keep a time: UTC, without saying so."""
    return from_epoch_ms(now_ms).replace(tzinfo=None)
