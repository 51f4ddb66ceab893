"""Deploy's calls about apps, for the API: how they run, their releases, databases and domains."""

from __future__ import annotations

from collections.abc import Sequence

from funai.base.clients.agent import LONG_SECONDS
from funai.base.clients.transport import Transport
from funai.contracts.apps.databases import (
    DatabaseCall,
    DatabaseOp,
    FindOrphanImages,
    FindOrphans,
    MongoCall,
    MongoVerb,
    Orphans,
)
from funai.contracts.apps.domains import AddDomain, Domain, DomainTarget, NameApp
from funai.contracts.apps.usage import AppUsage
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import Release, SealedVariables
from funai.contracts.nodes import AppOverview, AppsQuestion
from funai.contracts.states import Window


class AppsAtDeploy:
    transport: Transport

    async def releases(self, app_id: int, limit: int = 50) -> list[Release]:
        rows = await self.transport.data("GET", f"/deploy/apps/{app_id}/releases", params={"limit": limit})
        return self.transport.every(Release, rows)

    async def sealed_variables(self, app_id: int, number: int) -> str | None:
        """(+) A release's variables, sealed. Raises NotFound RELEASE_NOT_FOUND; a Deploy without the call another one."""
        path = f"/deploy/apps/{app_id}/releases/{number}/variables"
        return self.transport.read(SealedVariables, await self.transport.data("GET", path)).env_sealed

    async def app_call(self, verb: str, user_id: int, app_id: int, *, timeout: float = 60) -> dict[str, object]:
        """``POST /deploy/apps/{verb}`` with verb stop, start, purge or cleanup; answers its report."""
        body = {"userId": user_id, "appId": app_id}
        return self.transport.record(
            await self.transport.data("POST", f"/deploy/apps/{verb}", json=body, timeout=timeout) or {}
        )

    async def database(self, op: DatabaseOp, call: DatabaseCall) -> dict[str, object]:
        """(+) About an app's databases; a dump or restore takes as long as it takes."""
        patience = LONG_SECONDS if op in (DatabaseOp.BACKUP, DatabaseOp.RESTORE) else 90
        path = f"/deploy/apps/databases/{op}"
        return self.transport.record(await self.transport.data("POST", path, json=call.to_wire(), timeout=patience))

    async def mongo(self, verb: MongoVerb, call: MongoCall) -> dict[str, object]:
        """(+) A call of the Mongo explorer."""
        return self.transport.record(
            await self.transport.data("POST", f"/deploy/apps/mongo/{verb}", json=call.to_wire(), timeout=20)
        )

    async def orphans(self, asked: FindOrphans) -> list[Orphans]:
        """(+) What every node has of apps that are no more."""
        return self.transport.every(
            Orphans, await self.transport.data("POST", "/deploy/apps/orphans", json=asked.to_wire(), timeout=300)
        )

    async def orphan_images(self, asked: FindOrphanImages) -> Orphans:
        """(+) Repositories in the registry of apps that are no more; the ones that ``asked.delete`` names are removed."""
        path = "/deploy/apps/orphans/images"
        return self.transport.read(Orphans, await self.transport.data("POST", path, json=asked.to_wire(), timeout=600))

    async def app_status(self, user_id: int, app_id: int) -> dict[str, object]:
        """The agent's status of the app, or ``exists: false`` when it was never placed."""
        params = {"userId": user_id, "appId": app_id}
        return self.transport.record(await self.transport.data("GET", "/deploy/apps/status", params=params))

    async def app_usage(self, user_id: int, app_id: int, window: Window) -> AppUsage:
        """(+) What the app used, by its node. Raises Conflict(APP_NEVER_DEPLOYED), and what the agent's calls raise."""
        params = {"userId": user_id, "appId": app_id, "window": window.value}
        return self.transport.read(AppUsage, await self.transport.data("GET", "/deploy/apps/usage", params=params))

    async def overview(self, app_ids: Sequence[int], *, timeout: float | None = None) -> list[AppOverview] | None:
        """(+) What Deploy knows of these apps (at most 200) that were ever deployed; None when it has no such call."""
        body = AppsQuestion(app_ids=list(app_ids)).to_wire()
        try:
            rows = await self.transport.data("POST", "/deploy/apps/overview", json=body, timeout=timeout)
        except FunaiError as e:
            if e.code in (404, 405):
                return None
            raise
        return self.transport.every(AppOverview, rows or [])

    async def domains(self, app_id: int) -> list[Domain]:
        """(+) An app's own domains. Raises NotFound at a Deploy without them."""
        return self.transport.every(Domain, await self.transport.data("GET", "/deploy/domains", params={"appId": app_id}))

    async def add_domain(self, asked: AddDomain) -> Domain:
        return self.transport.read(Domain, await self.transport.data("POST", "/deploy/domains", json=asked.to_wire()))

    async def remove_domain(self, target: DomainTarget) -> None:
        await self.transport.data("POST", "/deploy/domains/remove", json=target.to_wire())

    async def name_app(self, asked: NameApp) -> None:
        """(+) Give the app a readable label where it is free. Raises NotFound at a Deploy without them."""
        await self.transport.data("POST", "/deploy/domains/alias", json=asked.to_wire())

    async def check_domain(self, target: DomainTarget) -> Domain:
        """Have it looked at again soon."""
        return self.transport.read(Domain, await self.transport.data("POST", "/deploy/domains/check", json=target.to_wire()))
