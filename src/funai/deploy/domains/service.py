"""Names of apps' own, for the API that gives them and for the nodes that serve them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.db.engine import Database
from funai.contracts.apps.domains import (
    AddDomain,
    Domain,
    DomainRoute,
    DomainTarget,
    NameApp,
    NodeDomains,
    check_not_ours,
    clean_domain,
)
from funai.contracts.errors import NotFound
from funai.contracts.reasons import Reason
from funai.deploy.domains import store
from funai.deploy.edge.state import reserved


class DomainBook:
    def __init__(self, db: Database) -> None:
        self.db = db

    async def add(self, asked: AddDomain) -> Domain:
        """Raises BadInput DOMAIN_INVALID, Conflict DOMAIN_RESERVED, DOMAIN_TAKEN, DOMAIN_OTHER_APP, DOMAIN_LIMIT."""
        name = clean_domain(asked.name)

        async def work(conn: AsyncConnection) -> None:
            hosts, domains = await reserved(conn)
            check_not_ours(name, [*hosts, *asked.reserved], domains)
            await store.add(conn, name, asked.app_id, asked.user_id, asked.limit, await self.db.clock(conn))

        await self.db.retrying(work)
        return await self._one(asked.app_id, name)

    async def list(self, app_id: int) -> list[Domain]:
        async with self.db.read() as conn:
            return await store.of_app(conn, app_id)

    async def remove(self, target: DomainTarget) -> None:
        """Raises BadInput, NotFound DOMAIN_NOT_FOUND."""
        name = clean_domain(target.name)
        if not await self.db.retrying(lambda conn: store.remove(conn, name, target.app_id)):
            raise NotFound(Reason.DOMAIN_NOT_FOUND, name=name)

    async def check(self, target: DomainTarget) -> Domain:
        """Have the app's node look at the name again soon. Raises BadInput, NotFound DOMAIN_NOT_FOUND."""
        name = clean_domain(target.name)

        async def work(conn: AsyncConnection) -> bool:
            return await store.ask(conn, name, target.app_id, await self.db.clock(conn))

        if not await self.db.retrying(work):
            raise NotFound(Reason.DOMAIN_NOT_FOUND, name=name)
        return await self._one(target.app_id, name)

    async def name(self, asked: NameApp) -> str | None:
        """The app's readable label: the one it has, else the one asked for where it is free, else None."""

        async def work(conn: AsyncConnection) -> str | None:
            return await store.alias(conn, asked.label, asked.app_id, asked.user_id, await self.db.clock(conn))

        return await self.db.retrying(work)

    async def exchange(self, said: NodeDomains) -> list[DomainRoute]:
        """Takes a node's report of its names; answers the names that it shall serve. It writes only where something is new."""
        async with self.db.read() as conn:
            rows = await store.for_node(conn, said.node_name)
        if news := store.news(rows, said.reports):

            async def work(conn: AsyncConnection) -> None:
                await store.note(conn, news, await self.db.clock(conn))

            await self.db.retrying(work)
        return [store.route_of(row) for row in rows]

    async def _one(self, app_id: int, name: str) -> Domain:
        found = next((d for d in await self.list(app_id) if d.name == name), None)
        if found is None:
            raise NotFound(Reason.DOMAIN_NOT_FOUND, name=name)
        return found
