"""The agent's databases through its own door: what deploys and starts inject, what owners ask for, what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from funai.agent.databases.keeper import Keeper
from funai.agent.engine.dummy import DummyEngine, Script
from tests.parts.databases import PASSWORD, USER, Postgres
from tests.parts.ferretdb import Mongo
from tests.parts.waiting import free_port
from tests.service.agent.agent import SCRIPTS, World, world
from tests.service.agent.databases.tenant import PostgresTenant


def _postgres(postgres: Postgres, tmp_path: Path, **more: Any) -> dict[str, Any]:
    url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{postgres.port}/postgres"
    return {"postgres_url": url, "state_dir": str(tmp_path), "postgres_drop_on_delete": True, **more}


def _mongo(mongo: Mongo, **more: Any) -> dict[str, Any]:
    return {"mongo_host": "127.0.0.1", "mongo_port": mongo.port, "mongo_drop_on_delete": True, **more}


@pytest.fixture
async def here(postgres: Postgres, tmp_path: Path) -> AsyncIterator[World]:
    async with world(**_postgres(postgres, tmp_path)) as w:
        yield w
        await w.post("delete")


async def env(w: World) -> dict[str, str]:
    return dict(w.engine.environment("rt-u-1-7"))


async def ask(w: World, op: str, app_id: int = 7, **more: Any) -> Any:
    answer = await w.http.post(f"/agent/databases/{op}", json={"userId": 1, "appId": app_id, **more})
    return answer.json() | {"status": answer.status_code}


async def test_deploy_with_mongo_injects_the_contracts_three_variables(mongo: Mongo) -> None:
    async with world(**_mongo(mongo)) as w:
        answer = (await w.deploy(5, env={"OTHER": "x"})).json()
        uri = f"mongodb://127.0.0.1:{mongo.port}/db_u1_a7"
        assert await env(w) == {"MONGODB_URI": uri, "MONGO_URL": uri, "FUNAI_MONGO_DB_NAME": "db_u1_a7", "OTHER": "x"}
        assert answer["notes"] == []
        assert (await ask(w, "info"))["databases"][0]["name"] == "db_u1_a7"
        assert (await w.post("delete")).json()["mongo"] == "dropped mongo db_u1_a7"
        assert (await ask(w, "info"))["databases"] == []


async def test_deploy_with_a_variable_of_its_own_keeps_it_and_says_so(mongo: Mongo) -> None:
    async with world(**_mongo(mongo)) as w:
        answer = (await w.deploy(5, env={"MONGO_URL": "mongodb://elsewhere/x"})).json()
        assert (await env(w))["MONGO_URL"] == "mongodb://elsewhere/x"
        assert "the app sets MONGO_URL itself" in answer["notes"][0]


async def test_deploy_with_the_database_away_goes_on_and_says_so() -> None:
    async with world(mongo_host="127.0.0.1", mongo_port=free_port(), mongo_precreate_timeout_seconds=0.3) as w:
        answer = await w.deploy(5)
        assert answer.status_code == 200, answer.text
        assert "MongoDB does not answer now" in answer.json()["notes"][0]
        assert (await env(w))["FUNAI_MONGO_DB_NAME"] == "db_u1_a7"
        assert "failed" not in ((await w.post("delete")).json()["mongo"] or "")


async def test_delete_with_the_database_away_is_a_failed_step() -> None:
    async with world(mongo_host="127.0.0.1", mongo_port=free_port(), mongo_drop_on_delete=True) as w:
        assert (await w.post("delete")).json()["mongo"].startswith("failed: mongo db_u1_a7")


async def test_postgres_is_given_only_to_an_app_that_asked_for_it(here: World) -> None:
    await here.deploy(5)
    assert "DATABASE_URL" not in await env(here)
    made = await ask(here, "create")
    assert [d["kind"] for d in made["databases"]] == ["postgres"]
    await here.deploy(6)
    given = (await ask(here, "url"))["url"]
    assert (await env(here))["DATABASE_URL"] == given
    await PostgresTenant(given).write("works")


async def test_a_failed_deploys_last_lines_do_not_repeat_the_password(here: World) -> None:
    await ask(here, "create")
    url = (await ask(here, "url"))["url"]
    here.engine.local["localhost/telling:1"] = Script(
        listens=False, exits_after=0.02, exit_code=1, output=f"cannot use {url}\n".encode()
    )
    answer = (await here.deploy(5, "localhost/telling:1")).json()["detail"]
    assert "cannot use" in str(answer["logTail"])
    assert url.split(":")[2].split("@")[0] not in str(answer)


async def test_a_deploy_over_or_near_the_quota_says_so(postgres: Postgres, tmp_path: Path) -> None:
    async with world(**_postgres(postgres, tmp_path, database_quota=1)) as w:
        await ask(w, "create")
        keeper = Keeper(w.parts.databases, 0)
        await keeper.sweep()
        assert "over its quota" in (await w.deploy(5)).json()["notes"][0]
        shown = await ask(w, "info")
        assert shown["databases"][0]["readOnly"] is True
        w.parts.databases.quota.limit = int(shown["databases"][0]["sizeBytes"] * 1.1)
        await keeper.sweep()
        assert "over 80 %" in (await w.deploy(6)).json()["notes"][0]
        await w.post("delete")


async def test_the_clock_makes_a_backup_when_the_newest_is_old_enough(here: World) -> None:
    await ask(here, "create")
    keeper = Keeper(here.parts.databases, 24)
    await keeper.back_up()
    await keeper.back_up()
    assert len((await ask(here, "info"))["backups"]) == 1
    await Keeper(here.parts.databases, 1e-9).back_up()
    assert len((await ask(here, "info"))["backups"]) == 2


async def test_start_after_a_rotation_gives_the_new_password(here: World) -> None:
    await ask(here, "create")
    await here.deploy(5)
    before = (await env(here))["DATABASE_URL"]
    await here.post("stop")
    rotated = await ask(here, "rotate")
    answer = await here.post("start")
    assert answer.status_code == 200, answer.text
    after = (await env(here))["DATABASE_URL"]
    assert after == rotated["url"] != before


async def test_backup_restores_into_the_same_app_and_into_another(here: World) -> None:
    await ask(here, "create")
    tenant = PostgresTenant((await ask(here, "url"))["url"])
    await tenant.write("one")
    made = await ask(here, "backup")
    assert made["sizeBytes"] > 0
    await tenant.clear()
    assert (await ask(here, "restore"))["backups"][0]["name"] == made["name"]
    assert await tenant.read() == ["one"]
    await here.post("delete")
    await ask(here, "restore", app_id=8, fromAppId=7, backup=made["name"])
    assert await PostgresTenant((await ask(here, "url", app_id=8))["url"]).read() == ["one"]
    assert (await ask(here, "drop", app_id=8))["dropped"] == ["db_u1_a8"]


async def test_backup_that_would_fill_the_disk_is_refused_and_leaves_no_part(here: World, tmp_path: Path) -> None:
    await ask(here, "create")
    here.parts.databases.backups.min_free = 1 << 62
    answer = await ask(here, "backup")
    assert (answer["status"], answer["reason"]) == (503, "DATABASE_BACKUP_FAILED")
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("*.dump"))


async def test_restore_of_another_users_backup_is_not_found(here: World) -> None:
    await ask(here, "create")
    await ask(here, "backup")
    body = {"userId": 2, "appId": 9, "fromAppId": 7}
    answer = await here.http.post("/agent/databases/restore", json=body)
    assert (answer.status_code, answer.json()["reason"]) == (404, "DATABASE_BACKUP_NOT_FOUND")


async def test_backups_over_the_number_to_keep_lose_the_oldest(postgres: Postgres, tmp_path: Path) -> None:
    async with world(**_postgres(postgres, tmp_path, backup_keep=2)) as w:
        await ask(w, "create")
        names = [(await ask(w, "backup"))["name"] for _ in range(3)]
        assert [b["name"] for b in (await ask(w, "info"))["backups"]] == names[:0:-1]
        await w.post("delete")


@pytest.mark.parametrize(
    ("op", "code", "reason"),
    [("url", 404, "DATABASE_NOT_FOUND"), ("backup", 404, "DATABASE_NOT_FOUND"), ("restore", 404, "DATABASE_BACKUP_NOT_FOUND")],
)
async def test_a_call_about_a_database_that_is_not_there_is_404(here: World, op: str, code: int, reason: str) -> None:
    answer = await ask(here, op)
    assert (answer["status"], answer["reason"]) == (code, reason)


async def test_a_kind_that_is_not_offered_is_told_with_those_that_are(here: World) -> None:
    answer = await ask(here, "create", kind="mongo")
    assert (answer["status"], answer["reason"]) == (409, "DATABASE_NOT_OFFERED")
    assert "postgres" in answer["detail"]


async def test_without_any_server_a_deploy_is_as_before_and_create_says_what_to_set() -> None:
    async with world() as w:
        assert (await w.deploy(5)).status_code == 200
        assert await env(w) == {}
        answer = await ask(w, "create")
        assert (answer["status"], answer["reason"]) == (409, "DATABASES_OFF")


async def _orphans(w: World, ids: list[int], **more: Any) -> dict[str, Any]:
    return (await w.http.post("/agent/orphans", json={"existingAppIds": ids, **more})).json()


async def test_orphans_are_shown_first_and_deleted_only_when_told_and_old_enough(here: World) -> None:
    await ask(here, "create", app_id=9)
    await here.deploy(5)
    found = await _orphans(here, [1])
    assert (found["databases"], found["containers"], found["deleted"]) == (["postgres db_u1_a9"], ["rt-u-1-7"], [])
    young = await _orphans(here, [1], delete=True)
    assert young["deleted"] == [] and sorted(young["waiting"]) == ["postgres db_u1_a9", "rt-u-1-7"]
    named = await _orphans(here, [1], delete=True, graceHours=0, only=["postgres db_u1_a8"])
    assert named["deleted"] == [], "what wasn't there when the apps were read"
    gone = await _orphans(here, [1], delete=True, graceHours=0)
    assert sorted(gone["deleted"]) == ["postgres db_u1_a9", "rt-u-1-7"]
    assert (await _orphans(here, [1]))["databases"] == []
    assert await here.names() == []


async def test_orphans_with_an_empty_list_of_apps_are_refused(here: World) -> None:
    await ask(here, "create", app_id=9)
    assert (await _orphans(here, [], delete=True, graceHours=0))["reason"] == "ORPHANS_NO_APPS"
    answer = (await here.http.post("/agent/cleanup-orphaned", json={"existingAppIds": []})).json()
    assert answer == {"cleanedDatabases": 0, "message": "the list of apps is empty: nothing is cleaned up"}
    assert (await ask(here, "drop", app_id=9))["dropped"] == ["db_u1_a9"]


async def test_cleanup_orphaned_answers_a_number(postgres: Postgres, tmp_path: Path) -> None:
    async with world(**_postgres(postgres, tmp_path, orphan_grace_hours=0)) as w:
        await ask(w, "create", app_id=9)
        answer = (await w.http.post("/agent/cleanup-orphaned", json={"existingAppIds": ["7"]})).json()
        assert answer["cleanedDatabases"] == 1
        assert "1 dropped" in answer["message"]


async def test_an_app_of_another_node_keeps_its_credentials(postgres: Postgres, tmp_path: Path) -> None:
    async with world(**_postgres(postgres, tmp_path / "a")) as first:
        await ask(first, "create")
        await ask(first, "rotate")
        url = (await ask(first, "url"))["url"]
        async with world(DummyEngine(local=SCRIPTS), **_postgres(postgres, tmp_path / "b")) as second:
            await second.deploy(6)
            assert (await env(second))["DATABASE_URL"] == url
        await first.post("delete")
