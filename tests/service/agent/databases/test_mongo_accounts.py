"""An account of its own for each app. A mongod proves roles; FerretDB keeps accounts and passwords alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pymongo.errors import OperationFailure

from funai.agent.databases.contract import AppKey, DatabaseRefused
from funai.agent.databases.mongodb import driver as mongo
from funai.agent.databases.mongodb.driver import MongoDriver
from funai.agent.databases.settings import DatabaseSettings
from scripts.ferretdb import binary
from tests.parts.ferretdb import ADMIN, PASSWORD, Mongo
from tests.parts.programs import mongod
from tests.service.agent.databases.conftest import mongo_settings
from tests.service.agent.databases.mongo_wire import Wire, faults
from tests.service.agent.databases.tenant import MongoTenant

KEY = AppKey(1, 31, "db_u1_a31")


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Mongo]:
    if mongod() is None and binary() is None:
        pytest.skip("no mongod on PATH, and FerretDB isn't built here: `make setup-test` does it where Go is")
    part = Mongo(tmp_path, accounts=True)
    part.start()
    yield part
    part.kill()


@pytest.fixture
async def driver(locked: Mongo) -> AsyncIterator[MongoDriver]:
    more: dict[str, Any] = {"mongo_username": ADMIN, "mongo_password": PASSWORD, "mongo_per_app_users": True}
    made = MongoDriver(mongo_settings(locked, **more))
    yield made
    await made.close()


async def test_credentials_of_an_app_log_in_at_its_own_database_with_its_own_password_alone(driver: MongoDriver) -> None:
    """The account is made here as the driver makes it, but for the roles, which FerretDB doesn't know."""
    url = (await driver.credentials(KEY)).url
    made = mongo.new_user(KEY.name, urlsplit(url).password or "", 0)
    await driver.database(KEY.name).command(made if mongod() else {**made, "roles": []})
    assert await driver.exists(KEY)
    app = MongoTenant(url)
    await app.write("one")
    assert await app.read() == ["one"]
    with pytest.raises(OperationFailure):
        await MongoTenant(url.replace(urlsplit(url).password or "", "wrong")).read()
    assert await driver.drop(KEY) is True
    with pytest.raises(OperationFailure):
        await app.read()


async def test_account_of_an_app_reaches_its_own_database_alone(driver: MongoDriver) -> None:
    if mongod() is None:
        pytest.skip("roles are proved by a mongod, which isn't on PATH")
    other = AppKey(1, 32, "db_u1_a32")
    for key in (KEY, other):
        await driver.create(key)
    url = (await driver.credentials(KEY)).url
    app = MongoTenant(url)
    await app.write("one")
    with pytest.raises(OperationFailure):
        await MongoTenant(url.replace("/db_u1_a31?", "/db_u1_a32?")).read()
    assert await driver.limit(KEY, read_only=True) and await driver.limited(KEY)
    with pytest.raises(OperationFailure):
        await app.write("two")
    assert await app.read() == ["one"]
    await driver.limit(KEY, read_only=False)
    await app.write("two")
    await driver.rotate(KEY)
    with pytest.raises(OperationFailure):
        await app.read()
    for key in (KEY, other):
        assert await driver.drop(key)


async def test_create_on_a_server_that_refuses_the_account_says_so_without_the_password(driver: MongoDriver) -> None:
    if mongod() is not None:
        pytest.skip("a mongod has the role; FerretDB refuses it")
    with pytest.raises(DatabaseRefused) as refused:
        await driver.create(KEY)
    assert urlsplit(driver.guessed(KEY, 0).url).password not in str(refused.value)


async def test_shared_account_cannot_be_rotated(locked: Mongo) -> None:
    shared = MongoDriver(mongo_settings(locked, mongo_username=ADMIN, mongo_password=PASSWORD))
    found = await shared.credentials(KEY)
    assert found.url == f"mongodb://root:p%40ss%2Fw%3Ard@127.0.0.1:{locked.port}/db_u1_a31?authSource=admin"
    assert not found.own
    with pytest.raises(DatabaseRefused):
        await shared.rotate(KEY)
    await shared.close()


async def test_commands_on_the_wire_have_the_published_form_and_reach_one_database_alone(locked: Mongo) -> None:
    """Each command of an account's life, as the server is sent it; FerretDB refuses those of roles once it has read them."""
    wire = Wire()
    async with wire.before(locked.port) as port:
        settings: dict[str, Any] = {"mongo_username": ADMIN, "mongo_password": PASSWORD, "mongo_per_app_users": True}
        driver = MongoDriver(DatabaseSettings(mongo_host="127.0.0.1", mongo_port=port, **settings))
        refuses = suppress(DatabaseRefused) if mongod() is None else nullcontext()
        with refuses:
            await driver.create(KEY)
        if mongod() is None:
            made = mongo.new_user(KEY.name, "pw", 0)
            await driver.database(KEY.name).command({**made, "roles": []})
        with refuses:
            await driver.rotate(KEY)
        for read_only in (True, False):
            with refuses:
                await driver.limit(KEY, read_only=read_only)
        await driver.size(KEY)
        with refuses:
            await driver.drop(KEY)
        await driver.close()
    assert [fault for command in wire.commands for fault in faults(command)] == []
    assert set(wire.databases) == {KEY.name}
    assert {next(iter(c)) for c in wire.commands} >= {
        "usersInfo",
        "createUser",
        "updateUser",
        "createRole",
        "dbStats",
        "dropDatabase",
        "dropUser",
    }
    for command in wire.commands:
        for role in command.get("roles", ()):
            assert role in ({"role": "readWrite", "db": KEY.name}, {"role": mongo.SHRINK, "db": KEY.name})
        for privilege in command.get("privileges", ()):
            assert privilege["resource"] == {"db": KEY.name, "collection": ""}
            assert not {"insert", "update", "createCollection", "createIndex"} & set(privilege["actions"])
    assert next(c for c in wire.commands if "createUser" in c)["roles"] == [{"role": "readWrite", "db": KEY.name}]
    assert {"rotation": 1} in [c.get("customData") for c in wire.commands]


def test_commands_have_the_published_form_and_reach_one_database_alone() -> None:
    """https://www.mongodb.com/docs/manual/reference/command/createUser and its neighbours."""
    made = mongo.new_user("db_u1_a31", "pw", 2)
    assert next(iter(made)) == "createUser"
    assert made["customData"] == {"rotation": 2}
    assert made["roles"] == [{"role": "readWrite", "db": "db_u1_a31"}]
    assert mongo.password_change("db_u1_a31", "pw", 3) == {
        "updateUser": "db_u1_a31",
        "pwd": "pw",
        "customData": {"rotation": 3},
    }
    role = mongo.shrink_role("db_u1_a31")
    assert role["privileges"][0]["resource"] == {"db": "db_u1_a31", "collection": ""}
    assert not {"insert", "update", "createCollection", "createIndex"} & set(role["privileges"][0]["actions"])
    assert mongo.roles_change("db_u1_a31", read_only=True)["roles"] == [{"role": "funaiShrink", "db": "db_u1_a31"}]
    assert mongo.roles_change("db_u1_a31", read_only=False)["roles"] == [{"role": "readWrite", "db": "db_u1_a31"}]
