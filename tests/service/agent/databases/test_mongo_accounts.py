"""An account of its own for each app. FerretDB keeps accounts and passwords, and knows no roles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from funai.agent.databases import mongo
from funai.agent.databases.contract import AppKey, DatabaseRefused
from funai.agent.databases.mongo import MongoDriver
from scripts.ferretdb import binary
from tests.parts.ferretdb import ADMIN, PASSWORD, Mongo
from tests.service.agent.databases.conftest import mongo_settings
from tests.service.agent.databases.tenant import MongoTenant

KEY = AppKey(1, 31, "db_u1_a31")


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[Mongo]:
    if binary() is None:
        pytest.skip("FerretDB isn't built here: `make setup-test` does it where Go is")
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


async def test_account_of_an_app_logs_in_with_its_own_password_alone(driver: MongoDriver) -> None:
    await driver.create(KEY)
    old = MongoTenant((await driver.credentials(KEY)).url)
    await old.write("one")
    assert await old.read() == ["one"]
    wrong = MongoTenant(old.url.replace(":" + old.url.split(":")[2].split("@")[0], ":wrong"))
    with pytest.raises(OperationFailure):
        await wrong.read()
    await driver.create(KEY)
    assert await old.read() == ["one"], "a second deploy keeps the password"
    assert await driver.drop(KEY) is True
    with pytest.raises(OperationFailure):
        await old.read()


async def test_shared_account_cannot_be_rotated(locked: Mongo) -> None:
    shared = MongoDriver(mongo_settings(locked, mongo_username=ADMIN, mongo_password=PASSWORD))
    found = await shared.credentials(KEY)
    assert found.url == f"mongodb://root:p%40ss%2Fw%3Ard@127.0.0.1:{locked.port}/db_u1_a31?authSource=admin"
    assert not found.own
    with pytest.raises(DatabaseRefused):
        await shared.rotate(KEY)
    await shared.close()


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
