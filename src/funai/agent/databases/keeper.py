"""What the agent does for apps' databases by itself: accounts that could not be made, sizes, backups by the clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from funai.agent.databases.contract import AppKey, DatabaseError, Driver
from funai.agent.databases.service import Databases
from funai.base.observability import log
from funai.contracts.errors import FunaiError


class Keeper:
    def __init__(self, databases: Databases, backup_hours: float) -> None:
        self._databases, self._every = databases, timedelta(hours=backup_hours)

    async def sweep(self) -> None:
        """Once over all databases of this node; what fails is tried at the next."""
        known = self._databases.known()
        for driver, app in known:
            if driver.every_app:
                await self._made(driver, app)
        await self._databases.quota.sweep(known)

    async def back_up(self) -> None:
        """Once over all databases of this node whose backup is due. It may take hours, and no quota waits for it."""
        if self._every:
            for driver, app in self._databases.known():
                await self._backed_up(driver, app)

    async def _made(self, driver: Driver, app: AppKey) -> None:
        try:
            if not await driver.exists(app):
                await driver.create(app)
        except DatabaseError as e:
            log.get("databases").info("database.later", app_id=app.app_id, kind=driver.kind, why=str(e)[:200])

    async def _backed_up(self, driver: Driver, app: AppKey) -> None:
        last = self._databases.backups.newest(app.user_id, app.app_id, driver.kind)
        if last and datetime.now(UTC) - last < self._every:
            return
        try:
            await self._databases.back_up(driver, app)
        except (DatabaseError, FunaiError) as e:
            log.get("databases").warning("database.not_backed_up", app_id=app.app_id, kind=driver.kind, why=str(e)[:200])
