"""An app's environment variables: sealed in the database, opened only to change them, never shown again."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.models import first, now_ms
from funai.api.tables import app_env, apps
from funai.base.clock import Clock
from funai.base.config.sealing import Sealer
from funai.base.db.engine import Database
from funai.contracts import rules
from funai.contracts.errors import BadInput, Conflict, NotFound
from funai.i18n.reasons import Words

MAX_SHOWN = 10
"""Faults that one refusal spells out."""
Change = Callable[[dict[str, str]], dict[str, str]]


class Variables:
    def __init__(self, db: Database, clock: Clock, sealer: Sealer | None, *, max_count: int, max_bytes: int) -> None:
        self.db, self.clock, self.max_count, self.max_bytes = db, clock, max_count, max_bytes
        self._sealer = sealer

    @property
    def sealer(self) -> Sealer:
        """Raises Conflict ENV_DISABLED."""
        if self._sealer is None:
            raise Conflict("ENV_DISABLED")
        return self._sealer

    async def names(self, app_id: int) -> list[str]:
        """Sorted; the values stay sealed."""
        sealed = await self.sealed(app_id)
        return sorted(self.sealer.open(sealed)) if sealed else []

    async def sealed(self, app_id: int) -> str | None:
        """What a deploy's payload carries; None without variables."""
        row = await self.db.fetch_one(select(app_env.c.sealed).where(app_env.c.app_id == app_id))
        return str(row["sealed"]) if row else None

    async def set(self, app_id: int, values: Mapping[str, str]) -> list[str]:
        """Add or replace; answers all names. Raises BadInput, Conflict ENV_DISABLED."""
        check_variables(values)
        return await self._change(app_id, lambda now: {**now, **values})

    async def unset(self, app_id: int, names: list[str]) -> list[str]:
        """Forget; a name that isn't there is fine. Answers the names left."""
        return await self._change(app_id, lambda now: {k: v for k, v in now.items() if k not in names})

    async def _change(self, app_id: int, change: Change) -> list[str]:
        sealer = self.sealer

        async def work(conn: AsyncConnection) -> list[str]:
            # The app's row is the lock: two changes at once must not lose one of them.
            if await first(conn, select(apps.c.id).where(apps.c.id == app_id, apps.c.deleting == 0).with_for_update()) is None:
                raise NotFound("APP_NOT_FOUND")
            row = await first(conn, select(app_env.c.sealed).where(app_env.c.app_id == app_id))
            after = change(sealer.open(str(row["sealed"])) if row else {})
            self._check_size(after)
            await self._write(conn, app_id, sealer.seal(after) if after else None, there=row is not None)
            return sorted(after)

        return await self.db.retrying(work)

    async def _write(self, conn: AsyncConnection, app_id: int, sealed: str | None, *, there: bool) -> None:
        mine = app_env.c.app_id == app_id
        if sealed is None:
            await conn.execute(delete(app_env).where(mine))
        elif there:
            await conn.execute(update(app_env).where(mine).values(sealed=sealed, update_time=now_ms(self.clock)))
        else:
            await conn.execute(insert(app_env).values(app_id=app_id, sealed=sealed, update_time=now_ms(self.clock)))

    def _check_size(self, values: Mapping[str, str]) -> None:
        size = sum(len(k) + len(v.encode()) for k, v in values.items())
        if len(values) > self.max_count or size > self.max_bytes:
            raise BadInput("ENV_LIMIT", count=self.max_count, bytes=self.max_bytes)


def check_variables(values: Mapping[str, str]) -> None:
    """Raises BadInput with everything that is wrong with them. A value is never repeated in a message."""
    found = [why for name, value in values.items() if (why := _trouble(name, value))]
    if found:
        shown, more = found[:MAX_SHOWN], len(found) - MAX_SHOWN
        zh, en = "；".join(w.zh for w in shown), "; ".join(w.en for w in shown)
        if more > 0:
            zh, en = f"{zh}；还有 {more} 处", f"{en}; and {more} more"
        raise BadInput(detail=Words(zh, en))


def _trouble(name: str, value: str) -> Words | None:
    if why := rules.env_name_trouble(name):
        return why
    if "\0" in value or any(unicodedata.category(c) == "Cs" for c in value):
        return Words(f"{name} 的值含有不可用的字符", f"{name}: its value has unusable characters")
    return None
