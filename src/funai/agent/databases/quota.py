"""How large an app's database may be: measured periodically, reported, and enforced by taking the right to write away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from funai.agent.databases.contract import AppKey, DatabaseError, Driver
from funai.base.observability import log
from funai.contracts.apps.databases import Kind

WARN_AT = 0.8
BACK_AT = 0.9
"""Of the quota: below it the right to write comes back."""


@dataclass(frozen=True, slots=True)
class Reading:
    size: int
    read_only: bool


class Quota:
    """``limit`` in bytes; 0: none."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._readings: dict[tuple[int, Kind], Reading] = {}

    async def check(self, driver: Driver, app: AppKey) -> None:
        """Measure, and act on it. Raises DatabaseError."""
        size, limited = await driver.size(app), await driver.limited(app)
        wanted = self.verdict(size, limited=limited)
        if wanted is not limited:
            enforced = await driver.limit(app, read_only=wanted)
            told = log.get("databases").warning if wanted else log.get("databases").info
            told(
                "database.quota",
                app_id=app.app_id,
                kind=driver.kind,
                bytes=size,
                quota=self.limit,
                read_only=wanted,
                enforced=enforced,
            )
            limited = wanted and enforced
        self._readings[app.app_id, driver.kind] = Reading(size, limited)

    def verdict(self, size: int, *, limited: bool) -> bool:
        """Whether the database should be read-only. With no quota one that is gets its right to write back."""
        if not self.limit:
            return False
        return size > self.limit * (BACK_AT if limited else 1)

    async def sweep(self, databases: Sequence[tuple[Driver, AppKey]]) -> None:
        for driver, app in databases:
            try:
                await self.check(driver, app)
            except DatabaseError as e:
                log.get("databases").info("database.not_measured", app_id=app.app_id, kind=driver.kind, why=str(e)[:200])

    def full_of(self, app_id: int) -> list[Kind]:
        """Kinds whose database of this app is over the quota."""
        return [kind for (of, kind), seen in self._readings.items() if of == app_id and self.limit and seen.size > self.limit]

    def shut(self, app_id: int, kind: Kind) -> bool:
        """Whether the app's right to write was taken away."""
        seen = self._readings.get((app_id, kind))
        return seen is not None and seen.read_only

    def near_of(self, app_id: int) -> list[Kind]:
        found = ((kind, seen.size) for (of, kind), seen in self._readings.items() if of == app_id and self.limit)
        return [kind for kind, size in found if self.limit * WARN_AT < size <= self.limit]

    def forget(self, app_id: int) -> None:
        for found in [k for k in self._readings if k[0] == app_id]:
            del self._readings[found]
