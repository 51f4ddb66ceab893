"""The API's calls about apps' databases, as the command line and the console see them."""

from __future__ import annotations

from funai.base.clients.agent import LONG_SECONDS
from funai.base.clients.api import BASE, ApiClient
from funai.contracts.apps.databases import AppDatabases, Backup, DatabaseOp, DatabaseUrl, DatabaseWish, Dropped, Orphans


class DatabasesClient:
    """Over an ApiClient: its login, its language, its transport."""

    def __init__(self, api: ApiClient) -> None:
        self._transport = api.transport

    async def info(self, user_id: int, app_id: int) -> AppDatabases:
        return AppDatabases.model_validate(await self._call(DatabaseOp.INFO, user_id, app_id, DatabaseWish()))

    async def create(self, user_id: int, app_id: int, wish: DatabaseWish) -> AppDatabases:
        return AppDatabases.model_validate(await self._call(DatabaseOp.CREATE, user_id, app_id, wish))

    async def url(self, user_id: int, app_id: int, wish: DatabaseWish) -> DatabaseUrl:
        return DatabaseUrl.model_validate(await self._call(DatabaseOp.URL, user_id, app_id, wish))

    async def rotate(self, user_id: int, app_id: int, wish: DatabaseWish) -> DatabaseUrl:
        return DatabaseUrl.model_validate(await self._call(DatabaseOp.ROTATE, user_id, app_id, wish))

    async def drop(self, user_id: int, app_id: int, wish: DatabaseWish) -> Dropped:
        return Dropped.model_validate(await self._call(DatabaseOp.DROP, user_id, app_id, wish))

    async def backup(self, user_id: int, app_id: int, wish: DatabaseWish) -> Backup:
        return Backup.model_validate(await self._call(DatabaseOp.BACKUP, user_id, app_id, wish))

    async def restore(self, user_id: int, app_id: int, wish: DatabaseWish) -> AppDatabases:
        return AppDatabases.model_validate(await self._call(DatabaseOp.RESTORE, user_id, app_id, wish))

    async def _call(self, op: DatabaseOp, user_id: int, app_id: int, wish: DatabaseWish) -> object:
        path, params = f"{BASE}/deploy/db/{op}", {"userId": user_id, "appId": app_id}
        if op in (DatabaseOp.INFO, DatabaseOp.URL):
            return await self._transport.data("GET", path, params={**params, "kind": wish.kind})
        patience = LONG_SECONDS if op in (DatabaseOp.BACKUP, DatabaseOp.RESTORE) else 120
        return await self._transport.data("POST", path, params=params, json=wish.to_wire(), timeout=patience)

    async def orphans(self, *, delete: bool, grace_hours: float) -> list[Orphans]:
        """What is left of apps that are no more, for an admin."""
        params = {"delete": str(delete).lower(), "graceHours": grace_hours}
        rows = await self._transport.data("POST", f"{BASE}/admin/orphans", params=params, timeout=600)
        return [Orphans.model_validate(row) for row in rows]
