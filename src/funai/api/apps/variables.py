"""An app's environment variables: sealed in the database, opened only to change them, never shown again."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.api.models import first, now_ms
from funai.api.tables import app_env, apps
from funai.base.clock import Clock
from funai.base.config.sealing import Sealer
from funai.base.db.engine import Database
from funai.contracts import rules
from funai.contracts.apps.variables import build_names, names_of, values_of, with_marks
from funai.contracts.errors import BadInput, Conflict, NotFound
from funai.contracts.reasons import Reason
from funai.i18n.reasons import Words

MAX_SHOWN = 10
"""Faults that one refusal spells out."""
Change = Callable[[dict[str, str]], dict[str, str]]


_OF = select(app_env.c.sealed, app_env.c.secret_names)


@dataclass(frozen=True, slots=True)
class Kept:
    """An app's variables as they are kept: sealed, and which names are marked as secret."""

    sealed: str | None = None
    secret: tuple[str, ...] = ()


class Variables:
    def __init__(self, db: Database, clock: Clock, sealer: Sealer | None, *, max_count: int, max_bytes: int) -> None:
        self.db, self.clock, self.max_count, self.max_bytes = db, clock, max_count, max_bytes
        self._sealer = sealer

    @property
    def sealer(self) -> Sealer:
        """Raises Conflict ENV_DISABLED."""
        if self._sealer is None:
            raise Conflict(Reason.ENV_DISABLED)
        return self._sealer

    async def names(self, app_id: int) -> list[str]:
        """Sorted; the values stay sealed."""
        sealed = (await self.kept(app_id)).sealed
        return names_of(self.sealer.open(sealed)) if sealed else []

    async def builds(self, app_id: int) -> list[str]:
        """Names of the variables that builds get too."""
        sealed = (await self.kept(app_id)).sealed
        return build_names(self.sealer.open(sealed)) if sealed else []

    async def kept(self, app_id: int) -> Kept:
        """What a deploy's payload carries."""
        row = await self.db.fetch_one(_OF.where(app_env.c.app_id == app_id))
        return _kept(row) if row else Kept()

    async def opened(self, app_id: int) -> tuple[dict[str, str], tuple[str, ...]]:
        """The values, and the names that are marked as secret, for masking; none without a key."""
        kept = await self.kept(app_id)
        return values_of(self._sealer.open(kept.sealed) if self._sealer and kept.sealed else {}), kept.secret

    async def set(
        self, app_id: int, values: Mapping[str, str], *, secret: bool | None = None, build: bool = False
    ) -> list[str]:
        """Add or replace; answers all names. Raises BadInput, Conflict ENV_DISABLED.

        ``secret`` marks these names or takes the mark away; None leaves their marks as they are. ``build``: builds get these
        too, also when they are set again without it.
        """
        check_variables(values)
        more = {**values, **(with_marks(values) if build else {})}
        return await self._change(app_id, lambda now: {**now, **more}, {} if secret is None else dict.fromkeys(values, secret))

    async def unset(self, app_id: int, names: list[str]) -> list[str]:
        """Forget; a name that isn't there is fine. Answers the names left."""
        gone = {*names, *with_marks(names)}
        return await self._change(app_id, lambda now: {k: v for k, v in now.items() if k not in gone})

    async def _change(self, app_id: int, change: Change, marks: Mapping[str, bool] | None = None) -> list[str]:
        sealer = self.sealer

        async def work(conn: AsyncConnection) -> list[str]:
            # The app's row is the lock: two changes at once must not lose one of them.
            if await first(conn, select(apps.c.id).where(apps.c.id == app_id, apps.c.deleting == 0).with_for_update()) is None:
                raise NotFound(Reason.APP_NOT_FOUND)
            row = await first(conn, _OF.where(app_env.c.app_id == app_id))
            before = _kept(row) if row else Kept()
            after = change(sealer.open(before.sealed) if before.sealed else {})
            self._check_size(after)
            marked = {**dict.fromkeys(before.secret, True), **(marks or {})}
            secret = tuple(sorted(name for name, so in marked.items() if so and name in after))
            await self._write(conn, app_id, Kept(sealer.seal(after) if after else None, secret), there=row is not None)
            return names_of(after)

        return await self.db.retrying(work)

    async def _write(self, conn: AsyncConnection, app_id: int, kept: Kept, *, there: bool) -> None:
        mine = app_env.c.app_id == app_id
        values: dict[str, object] = {
            "sealed": kept.sealed,
            "secret_names": json.dumps(kept.secret) if kept.secret else None,
            "update_time": now_ms(self.clock),
        }
        if kept.sealed is None:
            await conn.execute(delete(app_env).where(mine))
        elif there:
            await conn.execute(update(app_env).where(mine).values(values))
        else:
            await conn.execute(insert(app_env).values(app_id=app_id, **values))

    def _check_size(self, values: Mapping[str, str]) -> None:
        size = sum(len(k) + len(v.encode()) for k, v in values.items())
        if len(names_of(values)) > self.max_count or size > self.max_bytes:
            raise BadInput(Reason.ENV_LIMIT, count=self.max_count, bytes=self.max_bytes)


def _kept(row: Mapping[str, Any]) -> Kept:
    return Kept(str(row["sealed"]), tuple(json.loads(row["secret_names"] or "[]")))


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
