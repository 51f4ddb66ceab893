"""Small helpers that the nouns share over the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.tables import users
from funai.base.clock import Clock
from funai.contracts.states import AppStatus

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AppRow:
    """An app as its table has it; times are epoch milliseconds."""

    id: int
    user_id: int
    app_name: str
    description: str | None
    app_type: str | None
    app_key: str | None
    workspace_json: str | None
    status: AppStatus
    slot: int
    serving: int
    job_id: int | None
    last_error: str | None
    deploy_url: str | None
    access_url: str | None
    container_port: int | None
    op: str | None
    op_key: str | None
    op_job_id: int | None
    op_since: int | None
    prev_status: int | None
    prev_slot: int | None
    repo_ready: int
    repo_next: int | None
    deleting: int
    delete_tries: int
    delete_next: int | None
    create_time: int
    update_time: int


_APP = tuple(f.name for f in fields(AppRow))


def app_of(row: Row) -> AppRow:
    """From a row with all of the table's columns."""
    values: dict[str, Any] = {name: row[name] for name in _APP}
    values["status"] = AppStatus(row["status"])
    return AppRow(**values)


async def first_app(conn: AsyncConnection, statement: Any) -> AppRow | None:
    row = await first(conn, statement)
    return app_of(row) if row is not None else None


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
