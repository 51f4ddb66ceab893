"""Names in the database. Every function runs in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.inserts import insert_new
from funai.base.db.rows import first_as, rows_as
from funai.contracts.apps.domains import Domain, DomainReport, DomainRoute, DomainState
from funai.contracts.errors import Conflict
from funai.contracts.reasons import DomainTrouble, Reason
from funai.contracts.wire import from_epoch_ms
from funai.deploy.edge.changes import Subject, touch
from funai.deploy.edge.state import home_of, node_named
from funai.deploy.tables import domain

ABANDONED_MS = 48 * 3_600_000
"""A name that was never served for so long may be claimed by another: an account can't keep a name that isn't its own."""
_home_id = home_of(domain.c.app_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRow:
    """The columns of the domain's table by their names."""

    name: str
    app_id: int
    user_id: int
    alias: int
    state: str
    url: str | None
    reason: str | None
    details_json: str | None
    not_after_ms: int | None
    next_try_ms: int | None
    asked: int
    active_ms: int | None
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HomedDomain(DomainRow):
    home: int | None
    """The node that serves its app; None: the app lives nowhere."""


async def add(conn: AsyncConnection, name: str, app_id: int, user_id: int, limit: int, now_ms: int) -> None:
    """Give the name to the app; one that it has already stays as it is.

    Raises Conflict DOMAIN_TAKEN, DOMAIN_OTHER_APP (the same user's) or DOMAIN_LIMIT.
    """
    there = await first_as(DomainRow, conn, select(domain).where(domain.c.name == name).with_for_update())
    if there is not None and there.app_id == app_id:
        return
    if there is not None:
        abandoned = there.active_ms is None and now_ms - there.created_ms > ABANDONED_MS
        if not abandoned:
            if there.user_id == user_id:
                raise Conflict(Reason.DOMAIN_OTHER_APP, name=name, app=there.app_id)
            raise Conflict(Reason.DOMAIN_TAKEN, name=name)
        await remove(conn, name, there.app_id)
    counted = select(func.count()).select_from(domain).where(domain.c.app_id == app_id, domain.c.alias == 0)
    if int((await conn.execute(counted)).scalar_one()) >= limit:
        raise Conflict(Reason.DOMAIN_LIMIT, limit=limit)
    if not await insert_new(conn, domain, _fresh(name, app_id, user_id, now_ms, alias=False)):
        raise Conflict(Reason.DOMAIN_TAKEN, name=name)
    await touch(conn, Subject.NAME, name)


async def alias(conn: AsyncConnection, label: str, app_id: int, user_id: int, now_ms: int) -> str | None:
    """The app's readable label: the one it has, else this one where it is free, else None."""
    mine = select(domain.c.name).where(domain.c.app_id == app_id, domain.c.alias == 1)
    if (there := (await conn.execute(mine)).scalars().first()) is not None:
        return there
    new = await insert_new(conn, domain, _fresh(label, app_id, user_id, now_ms, alias=True))
    if new:
        await touch(conn, Subject.NAME, label)
    return label if new else None


def _fresh(name: str, app_id: int, user_id: int, now_ms: int, *, alias: bool) -> dict[str, str | int]:
    state = DomainState.ACTIVE if alias else DomainState.PENDING
    return {
        "name": name,
        "app_id": app_id,
        "user_id": user_id,
        "alias": int(alias),
        "state": state.value,
        "created_ms": now_ms,
        "updated_ms": now_ms,
    }


async def remove(conn: AsyncConnection, name: str, app_id: int) -> bool:
    """Whether the app had it."""
    mine = (domain.c.name == name, domain.c.app_id == app_id, domain.c.alias == 0)
    gone = (await conn.execute(delete(domain).where(*mine))).rowcount == 1
    if gone:
        await touch(conn, Subject.NAME, name)
    return gone


async def ask(conn: AsyncConnection, name: str, app_id: int, now_ms: int) -> bool:
    """Have the node look again now. Whether the app has the name."""
    mine = (domain.c.name == name, domain.c.app_id == app_id, domain.c.alias == 0)
    asked = await conn.execute(update(domain).where(*mine).values(asked=domain.c.asked + 1, updated_ms=now_ms))
    return asked.rowcount == 1


async def ending(conn: AsyncConnection, before_ms: int, limit: int) -> list[tuple[str, int]]:
    """Names that are served whose certificate ends before then, with when it does, the soonest first."""
    soon = (domain.c.not_after_ms < before_ms) & (domain.c.state == DomainState.ACTIVE.value)
    query = select(domain.c.name, domain.c.not_after_ms).where(soon).order_by(domain.c.not_after_ms, domain.c.name)
    return [(row[0], row[1]) for row in await conn.execute(query.limit(limit))]


async def forget_app(conn: AsyncConnection, app_id: int) -> None:
    names = (await conn.execute(select(domain.c.name).where(domain.c.app_id == app_id))).scalars()
    await touch(conn, Subject.NAME, *names)
    await conn.execute(delete(domain).where(domain.c.app_id == app_id))


async def of_app(conn: AsyncConnection, app_id: int) -> list[Domain]:
    """The app's names, oldest first, without its alias."""
    query = select(domain, _home_id.label("home")).where(domain.c.app_id == app_id, domain.c.alias == 0)
    return [_view(row) for row in await rows_as(HomedDomain, conn, query.order_by(domain.c.created_ms, domain.c.name))]


async def for_node(conn: AsyncConnection, node_name: str) -> list[DomainRow]:
    """What the node of that name shall serve."""
    query = select(domain).where(_home_id == node_named(node_name)).order_by(domain.c.name)
    return await rows_as(DomainRow, conn, query)


def news(rows: Sequence[DomainRow], reports: Iterable[DomainReport]) -> list[DomainReport]:
    """The reports that tell something new of the node's names (``rows``, as :func:`for_node` has them). Pure."""
    mine = {row.name: row for row in rows if not row.alias}
    known = [r for r in reports if r.name in mine and mine[r.name].app_id == r.app_id]
    return [r for r in known if any(getattr(mine[r.name], key) != value for key, value in _told(r).items())]


async def note(conn: AsyncConnection, reports: Iterable[DomainReport], now_ms: int) -> None:
    """Keep what a node tells of its names."""
    for report in reports:
        same = (domain.c.name == report.name, domain.c.app_id == report.app_id)
        served = {"active_ms": func.coalesce(domain.c.active_ms, now_ms)} if report.state is DomainState.ACTIVE else {}
        await conn.execute(update(domain).where(*same).values(updated_ms=now_ms, **_told(report), **served))


def _told(report: DomainReport) -> dict[str, str | int | None]:
    return {
        "state": report.state.value,
        "url": report.url,
        "reason": report.reason,
        "details_json": json.dumps(report.details, ensure_ascii=False) if report.details else None,
        "not_after_ms": _ms(report.not_after),
        "next_try_ms": _ms(report.next_try_at),
    }


def _ms(moment: datetime | None) -> int | None:
    return int(moment.timestamp() * 1000) if moment else None


def route_of(row: DomainRow) -> DomainRoute:
    return DomainRoute(name=row.name, app_id=row.app_id, alias=bool(row.alias), asked=row.asked)


def _view(row: HomedDomain) -> Domain:
    waits = row.home is None
    return Domain(
        name=row.name,
        app_id=row.app_id,
        state=DomainState(row.state),
        url=row.url,
        reason=DomainTrouble.NOT_DEPLOYED if waits else row.reason,
        details=json.loads(row.details_json or "{}"),
        not_after=_instant(row.not_after_ms),
        next_try_at=_instant(row.next_try_ms),
        created_at=from_epoch_ms(row.created_ms),
    )


def _instant(ms: int | None) -> datetime | None:
    return None if ms is None else from_epoch_ms(ms)
