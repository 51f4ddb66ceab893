"""The trail in the database: written when an action has succeeded, read by an admin, pruned by age and by count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import DBAPIError

from funai.api.models import Row, now_ms
from funai.api.tables import audit
from funai.base.clock import Clock
from funai.base.db.engine import Database, storable
from funai.base.observability import log
from funai.contracts.audit import AuditAction, AuditEntry
from funai.contracts.errors import Unavailable
from funai.contracts.wire import from_epoch_ms

DAY_MS = 86_400_000
MAX_USERS_ENTRIES = 500_000
"""Newest entries that are kept of people who are no admins: they can't fill the table, nor push an admin's entries out."""
MAX_REFUSED_ENTRIES = 100_000
"""Newest refused sign-ins that are kept: anyone can make them, and they push out no entry of a user's."""
PRUNED_AT_ONCE = 10_000
MAX_NAME, MAX_TARGET, MAX_DETAIL, MAX_ADDRESS = 64, 200, 1_000, 64


class Actor(Protocol):
    """Who acts: a caller, or a user who has just signed in."""

    @property
    def id(self) -> int: ...
    @property
    def user_name(self) -> str: ...
    @property
    def admin(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Filter:
    """What an admin looks for; None: anything."""

    action: AuditAction | None = None
    actor_name: str | None = None
    app_id: int | None = None


class AuditTrail:
    """``days`` is how long entries are kept."""

    def __init__(self, db: Database, clock: Clock, days: int) -> None:
        self.db, self.clock, self.days = db, clock, days

    async def write(
        self,
        action: AuditAction,
        actor: Actor | None,
        address: str,
        *,
        name: str = "",
        user_id: int | None = None,
        app_id: int | None = None,
        target: str = "",
        detail: str = "",
    ) -> None:
        """``name`` is the actor's without a sign-in. Texts that are too long are cut.

        What was done has been done: an entry that can't be kept is in the log instead, and no failure of the caller's.
        """
        entry = {
            "create_time": now_ms(self.clock),
            "action": action.value,
            "actor_id": actor.id if actor else None,
            "actor_name": _cut(actor.user_name if actor else name, MAX_NAME),
            "admin": int(actor.admin) if actor else 0,
            "user_id": user_id,
            "app_id": app_id,
            "target": _cut(target, MAX_TARGET),
            "detail": _cut(detail, MAX_DETAIL),
            "address": _cut(address, MAX_ADDRESS),
            "trace_id": log.trace_id(),
        }
        try:
            async with self.db.write() as conn:
                await conn.execute(insert(audit).values(entry))
        except (Unavailable, DBAPIError) as e:
            log.get("audit").warning("audit.not_kept", why=type(e).__name__, **entry)

    async def page(self, wanted: Filter, before: int | None, limit: int) -> list[AuditEntry]:
        """Newest first; ``before`` is the last id of the page before."""
        query = select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)
        if wanted.action is not None:
            query = query.where(audit.c.action == wanted.action.value)
        if wanted.actor_name is not None:
            query = query.where(audit.c.actor_name == storable(wanted.actor_name))
        if wanted.app_id is not None:
            query = query.where(audit.c.app_id == wanted.app_id)
        return [_entry(row) for row in await self.db.fetch_all(query)]

    async def prune(self) -> None:
        """Drop what is too old, and too much of refused sign-ins and of people who are no admins; a bounded number a call."""
        await self._drop(audit.c.create_time < now_ms(self.clock) - self.days * DAY_MS)
        refused = AuditAction.SIGN_IN_REFUSED.value
        await self._keep_newest(MAX_REFUSED_ENTRIES, audit.c.action == refused)
        await self._keep_newest(MAX_USERS_ENTRIES, audit.c.admin == 0, audit.c.action != refused)

    async def _keep_newest(self, limit: int, *conditions: Any) -> None:
        beyond = select(audit.c.id).where(*conditions).order_by(audit.c.id.desc()).offset(limit).limit(1)
        row = await self.db.fetch_one(beyond)
        if row is not None:
            await self._drop(*conditions, audit.c.id <= int(row["id"]))

    async def _drop(self, *conditions: Any) -> None:
        oldest = select(audit.c.id).where(*conditions).order_by(audit.c.id).limit(PRUNED_AT_ONCE)
        ids = [int(row["id"]) for row in await self.db.fetch_all(oldest)]
        if ids:
            async with self.db.write() as conn:
                await conn.execute(delete(audit).where(audit.c.id >= ids[0], audit.c.id <= ids[-1], *conditions))


def names(of: Iterable[str]) -> str:
    """Names for ``detail``, sorted."""
    return ", ".join(sorted(of))


def _cut(text: str, limit: int) -> str:
    fit = storable(text)
    return fit if len(fit) <= limit else fit[: limit - 1] + "…"


def _entry(row: Row) -> AuditEntry:
    copied = ("id", "action", "actor_id", "actor_name", "user_id", "app_id", "target", "detail", "address", "trace_id")
    values: dict[str, Any] = {name: row[name] for name in copied}
    return AuditEntry(at=from_epoch_ms(int(row["create_time"])), admin=bool(row["admin"]), **values)
