"""Drivers against real servers: PostgreSQL, and FerretDB where it is built."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from funai.agent.databases.contract import AppKey, Driver
from funai.agent.databases.mongodb.driver import MongoDriver
from funai.agent.databases.postgresql.driver import PostgresDriver
from funai.agent.databases.settings import DatabaseSettings
from tests.parts.databases import PASSWORD, USER, Postgres
from tests.parts.ferretdb import Mongo
from tests.service.agent.databases.tenant import MongoTenant, PostgresTenant, Tenant


@dataclass
class Server:
    """A driver, and how an app uses what it was given."""

    driver: Driver
    tenant: type[Tenant]

    def key(self, app_id: int, user_id: int = 1) -> AppKey:
        return AppKey(user_id, app_id, self.driver.name(user_id, app_id))

    async def app(self, key: AppKey) -> Tenant:
        await self.driver.create(key)
        return self.tenant((await self.driver.credentials(key)).url)


def postgres_settings(postgres: Postgres, **more: Any) -> DatabaseSettings:
    url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{postgres.port}/postgres"
    return DatabaseSettings(postgres_url=url, **more)


def mongo_settings(mongo: Mongo, **more: Any) -> DatabaseSettings:
    return DatabaseSettings(mongo_host="127.0.0.1", mongo_port=mongo.port, **more)


@pytest.fixture(params=["postgres", "mongo"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """Each kind in turn, without databases of apps."""
    part = request.getfixturevalue(request.param)
    driver: Driver = (
        PostgresDriver(postgres_settings(part)) if request.param == "postgres" else MongoDriver(mongo_settings(part))
    )
    yield Server(driver, PostgresTenant if request.param == "postgres" else MongoTenant)
    for name in await driver.names():
        await driver.drop(AppKey(1, driver.app_of(name) or 0, name))
    await driver.close()
