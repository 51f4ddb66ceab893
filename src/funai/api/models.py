"""Small helpers that the nouns share over the database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.tables import users
from funai.base.clock import Clock

Row = Mapping[str, Any]


def now_ms(clock: Clock) -> int:
    return int(clock.now().timestamp() * 1000)


async def first(conn: AsyncConnection, statement: Any) -> Row | None:
    """The first row as a mapping, or None."""
    row = (await conn.execute(statement)).mappings().first()
    return {str(k): v for k, v in row.items()} if row is not None else None


async def lock_user(conn: AsyncConnection, user_id: int) -> Row | None:
    """The user's row, locked until the transaction ends.

    Whatever is counted per user (slots, apps, keys) is counted under this lock, so that two requests can't both take
    the last one. SQLite has one writer anyway.
    """
    return await first(conn, select(users).where(users.c.id == user_id).with_for_update())
