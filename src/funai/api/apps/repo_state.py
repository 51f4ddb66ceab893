"""An app's row: whether its repository is made, and when that is tried again."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.tables import apps


async def ready(conn: AsyncConnection, app_id: int, kind: int) -> bool:
    """The repository is made in this kind of host; False when the app was deleted meanwhile."""
    live = (apps.c.id == app_id, apps.c.deleting == 0)
    return bool((await conn.execute(update(apps).where(*live).values(repo_ready=kind, repo_next=None))).rowcount)


async def put_off(conn: AsyncConnection, app_id: int, kind: int, seen: int | None, until: int) -> bool:
    """Moves the next try from ``seen`` to ``until`` (epoch ms); False when another process has moved it."""
    same = apps.c.repo_next.is_(None) if seen is None else apps.c.repo_next == seen
    mine = update(apps).where(apps.c.id == app_id, apps.c.repo_ready != kind, same)
    return bool((await conn.execute(mine.values(repo_next=until))).rowcount)
