"""Apps' databases from the API through Deploy to an agent with real servers: whose they are, and what passes through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.parts.databases import PASSWORD, USER, Postgres
from tests.parts.ferretdb import Mongo
from tests.service.agent.agent import world
from tests.service.agent.databases.tenant import PostgresTenant
from tests.service.api.platform import GIT, Person, Platform


@pytest.fixture
async def place(tmp_path: Path, postgres: Postgres) -> AsyncIterator[Platform]:
    """A platform whose node is a real agent on a PostgreSQL."""
    async with _with_agent(tmp_path, postgres_url=_url(postgres), postgres_drop_on_delete=True) as found:
        yield found


def _url(postgres: Postgres) -> str:
    return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{postgres.port}/postgres"


@asynccontextmanager
async def _with_agent(folder: Path, **settings: Any) -> AsyncIterator[Platform]:
    async with world(token="agent", state_dir=str(folder / "agent"), **settings) as agent:
        platform = Platform(folder)
        platform.node.app = agent.app
        async with platform.running():
            yield platform
        for driver, app in agent.parts.databases.known():
            await driver.drop(app)


async def db(person: Person, op: str, app_id: int, method: str = "POST", **body: Any) -> Any:
    return await person.call(method, f"/deploy/db/{op}", params={"appId": app_id}, **({"json": body} if body else {}))


async def test_database_of_an_app_is_made_shown_used_and_dropped(place: Platform) -> None:
    ada = await place.person("ada")
    app_id = await ada.app("shop")
    assert (await db(ada, "info", app_id, "GET"))["databases"] == []
    made = await db(ada, "create", app_id)
    assert [(d["kind"], d["name"]) for d in made["databases"]] == [("postgres", f"db_u{ada.id}_a{app_id}")]
    answer = await ada.raw("GET", "/deploy/db/url", params={"appId": app_id})
    assert answer.headers["Cache-Control"] == "no-store"
    tenant = PostgresTenant(answer.json()["data"]["url"])
    await tenant.write("one")
    backup = await db(ada, "backup", app_id)
    await tenant.clear()
    assert [b["name"] for b in (await db(ada, "restore", app_id))["backups"]] == [backup["name"]]
    assert await tenant.read() == ["one"]
    assert (await db(ada, "rotate", app_id))["url"] != tenant.url
    assert (await db(ada, "drop", app_id))["dropped"] == [f"db_u{ada.id}_a{app_id}"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/deploy/db/info"),
        ("GET", "/deploy/db/url"),
        ("POST", "/deploy/db/create"),
        ("POST", "/deploy/db/rotate"),
        ("POST", "/deploy/db/drop"),
        ("POST", "/deploy/db/backup"),
        ("POST", "/deploy/db/restore"),
        ("GET", "/deploy/mongo/collections"),
        ("GET", "/deploy/mongo/doc?collection=c&id=1"),
        ("POST", "/deploy/mongo/find"),
        ("POST", "/deploy/mongo/insert-one"),
        ("POST", "/deploy/mongo/update-by-id"),
        ("POST", "/deploy/mongo/delete-by-id"),
        ("POST", "/deploy/mongo/create-collection"),
    ],
)
async def test_database_of_another_users_app_is_not_found(platform: Platform, method: str, path: str) -> None:
    ada, eve = await platform.person("ada"), await platform.person("eve")
    app_id = await ada.app("shop")
    joined = f"{path}{'&' if '?' in path else '?'}appId={app_id}"
    more = {"json": {"collection": "c"}} if method == "POST" else {}
    assert await eve.refused(method, joined, **more) == "404 APP_NOT_FOUND"
    assert await eve.refused(method, f"{joined}&userId={ada.id}", **more) == "403 FORBIDDEN"


async def test_backup_of_a_deleted_app_is_restored_into_another_of_its_owner_alone(place: Platform) -> None:
    ada, eve = await place.person("ada"), await place.person("eve")
    gone, app_id = await ada.app("gone"), await ada.app("next")
    await db(ada, "create", gone)
    await PostgresTenant((await db(ada, "url", gone, "GET"))["url"]).write("kept")
    backup = await db(ada, "backup", gone)
    await db(ada, "drop", gone)
    await ada.call("POST", "/app/delete", params={"appId": gone})
    await db(ada, "restore", app_id, fromAppId=gone, backup=backup["name"])
    assert await PostgresTenant((await db(ada, "url", app_id, "GET"))["url"]).read() == ["kept"]
    hers = await eve.app("hers")
    body = {"fromAppId": gone, "backup": backup["name"]}
    assert await eve.refused("POST", "/deploy/db/restore", params={"appId": hers}, json=body) == "404 DATABASE_BACKUP_NOT_FOUND"


async def test_database_made_before_any_deploy_goes_with_its_app(place: Platform) -> None:
    root, ada = await place.admin(), await place.person("ada")
    await ada.app("other")
    app_id = await ada.app("shop")
    await db(ada, "create", app_id)
    await ada.call("POST", "/app/delete", params={"appId": app_id})
    assert [o["databases"] for o in await root.call("POST", "/admin/orphans")] == [[]]


async def test_a_backups_name_that_is_a_path_is_refused(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app("shop")
    body = {"backup": "../../u2-a1/postgres-20260101T000000000Z"}
    assert await ada.refused("POST", "/deploy/db/restore", params={"appId": app_id}, json=body) == "400 BAD_INPUT"


async def test_without_a_server_the_answer_says_what_the_operator_sets(tmp_path: Path) -> None:
    async with _with_agent(tmp_path) as platform:
        ada = await platform.person("ada")
        app_id = await ada.app("shop")
        assert await ada.refused("POST", "/deploy/db/create", params={"appId": app_id}) == "409 DATABASES_OFF"


async def test_explorer_answers_and_refuses_as_the_agent_does(tmp_path: Path, mongo: Mongo) -> None:
    async with _with_agent(tmp_path, mongo_host="127.0.0.1", mongo_port=mongo.port, mongo_drop_on_delete=True) as platform:
        ada = await platform.person("ada")
        app_id = await ada.app("shop")
        await db(ada, "create", app_id)

        async def find(**body: Any) -> str:
            return await ada.refused("POST", "/deploy/mongo/find", params={"appId": app_id}, json={"collection": "c", **body})

        body = {"collection": "notes", "doc": {"text": "ä"}}
        made = await ada.call("POST", "/deploy/mongo/insert-one", params={"appId": app_id}, json=body)
        assert made["dbName"] == f"db_u{ada.id}_a{app_id}"
        params = {"appId": app_id, "collection": "notes", "id": made["insertedId"]}
        assert (await ada.call("GET", "/deploy/mongo/doc", params=params))["doc"]["text"] == "ä"
        assert (await ada.call("GET", "/deploy/mongo/collections", params={"appId": app_id}))["collections"] == ["notes"]
        assert await find(collection="system.users") == "403 MONGO_COLLECTION_FORBIDDEN"
        assert await find(filter='{"$where": "1"}') == "400 MONGO_CODE_FORBIDDEN"
        assert await find(filter="nonsense") == "400 MONGO_JSON_INVALID"
        assert await find(limit=201) == "400 BAD_INPUT"


async def test_orphans_are_an_admins_and_refused_while_there_is_no_app(place: Platform) -> None:
    root, ada = await place.admin(), await place.person("ada")
    assert await ada.refused("POST", "/admin/orphans") == "403 FORBIDDEN"
    assert await root.refused("POST", "/admin/orphans") == "409 ORPHANS_NO_APPS"
    app_id = await ada.app("shop")
    await db(ada, "create", app_id)
    found = await root.call("POST", "/admin/orphans")
    assert [(o["node"], o["databases"], o["failed"]) for o in found] == [("n1", [], [])]


async def test_app_ids_are_for_the_platform_itself(platform: Platform) -> None:
    ada = await platform.person("ada")
    made = [await ada.app("one"), await ada.app("two")]
    assert (await ada.raw("GET", "/internal/apps/ids")).status_code == 401
    answer = await ada.raw("GET", "/internal/apps/ids", headers={"X-Git-Token": GIT})
    assert answer.json()["data"] == {"appIds": made, "count": 2}
