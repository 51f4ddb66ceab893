"""Apps' databases at the API: whose they are is decided here."""

from __future__ import annotations

from collections.abc import Mapping

from funai.api.apps.service import Apps
from funai.api.deploys.client_pool import DeployClientPool
from funai.contracts.apps.databases import DatabaseCall, DatabaseOp, DatabaseWish, MongoCall, MongoVerb


class AppDatabases:
    def __init__(self, apps: Apps, control: DeployClientPool) -> None:
        self.apps, self.control = apps, control

    async def call(self, op: DatabaseOp, user_id: int, app_id: int, wish: DatabaseWish) -> dict[str, object]:
        """Raises NotFound APP_NOT_FOUND for an app that isn't theirs. A backup is looked for among their own alone."""
        await self.apps.own(user_id, app_id)
        call = DatabaseCall(user_id=str(user_id), app_id=str(app_id), **wish.model_dump())
        with self.control.asking(long=op in (DatabaseOp.BACKUP, DatabaseOp.RESTORE)) as deploy:
            return await deploy.database(op, call)

    async def mongo(self, verb: MongoVerb, user_id: int, app_id: int, body: Mapping[str, object]) -> dict[str, object]:
        await self.apps.own(user_id, app_id)
        with self.control.asking() as deploy:
            return await deploy.mongo(verb, MongoCall(user_id=user_id, app_id=app_id, body=dict(body)))

    async def ids(self) -> list[int]:
        """Every app that there is, those being deleted too."""
        return await self.apps.ids()
