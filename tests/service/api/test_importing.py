"""An earlier installation's users and apps, taken with their ids."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import pytest
from sqlalchemy import text

from funai.api import importing
from funai.base.db.engine import Database, sqlite_url
from funai.contracts.compat import number_of
from funai.contracts.errors import ConfigError
from tests.service.api.platform import BASE, PASSWORD, Platform

UUID = "a121b5f1-0c7e-4b63-9a0e-2f5c7d1e8b44"
TABLES = (
    (
        "CREATE TABLE fun_ai_user (id BIGINT PRIMARY KEY, user_name VARCHAR(64), password VARCHAR(255), email VARCHAR(128),"
        " create_time DATETIME, update_time DATETIME)"
    ),
    (
        "CREATE TABLE fun_ai_app (id BIGINT PRIMARY KEY, user_id BIGINT, app_name VARCHAR(128), app_description TEXT,"
        " app_type VARCHAR(64), app_key VARCHAR(64), app_status INT, last_deploy_error TEXT, create_time DATETIME,"
        " update_time DATETIME)"
    ),
    "CREATE TABLE fun_ai_deploy_job (id VARCHAR(64) PRIMARY KEY, app_id VARCHAR(64), create_time DATETIME)",
    f"INSERT INTO fun_ai_deploy_job VALUES ('{UUID}', '20000254', '2026-01-02 10:00:00'), ('b', NULL, '2026-01-03 10:00:00')",
    (
        "INSERT INTO fun_ai_app VALUES"
        " (20000254, 10001, '商城', '演示', 'fullstack', 'k1', 3, NULL, '2026-01-01 10:00:00', '2026-01-01 10:00:00'),"
        " (20000255, 10001, '商城', NULL, NULL, NULL, 2, NULL, NULL, NULL),"
        " (20000256, 10002, '停用', NULL, NULL, NULL, 5, NULL, NULL, NULL)"
    ),
)


@pytest.fixture
async def field(tmp_path: Path) -> AsyncIterator[Database]:
    db = Database(sqlite_url(tmp_path / "field.db"))
    async with db.write() as conn:
        for statement in TABLES:
            await conn.exec_driver_sql(statement)
        digest = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
        row = text("INSERT INTO fun_ai_user VALUES (:id, :name, :password, NULL, '2026-01-01 10:00:00', NULL)")
        given = [(10001, "Ada", digest.replace("$2b$", "$2a$")), (10002, "bob", "plain")]
        await conn.execute(row, [{"id": i, "name": n, "password": p} for i, n, p in given])
    yield db
    await db.close()


async def test_imported_users_log_in_with_their_passwords_and_are_hashed_anew(platform: Platform, field: Database) -> None:
    report = await importing.import_users(field, platform.core.db)
    assert (report.taken, report.known, len(report.notes)) == (2, 0, 1)
    ada = await platform.sign_in("ada")
    assert ada.id == 10001
    stored = await platform.core.db.fetch_one(text("SELECT password_hash FROM funai_user WHERE id = 10001"))
    assert stored is not None
    assert stored["password_hash"].startswith("$argon2id$"), "the first login made a new hash"
    await platform.sign_in("ada")
    for name, password in (("ada", "wrong password"), ("bob", "plain"), ("bob", "-")):
        refused = await platform.http.post(f"{BASE}/auth/login", json={"userName": name, "password": password})
        assert refused.status_code == 401
    assert (await importing.import_users(field, platform.core.db)).known == 2
    newcomer = await platform.person("eve")
    assert newcomer.id > 10002


async def test_imported_apps_are_given_back_with_what_their_workspaces_said_last(platform: Platform, field: Database) -> None:
    await _altered(
        field,
        "ALTER TABLE fun_ai_app ADD COLUMN workspace_run_state VARCHAR(32)",
        "ALTER TABLE fun_ai_app ADD COLUMN workspace_run_pid BIGINT",
        "ALTER TABLE fun_ai_app ADD COLUMN workspace_last_error TEXT",
        "UPDATE fun_ai_app SET workspace_run_state = '运行', workspace_run_pid = 77 WHERE id = 20000254",
    )
    await importing.import_users(field, platform.core.db)
    await importing.import_apps(field, platform.core.db)
    ada = await platform.sign_in("ada")
    for shown in (await ada.call("GET", "/app/list"), [await ada.call("GET", "/app/info", params={"appId": 20000254})]):
        app = next(a for a in shown if a["id"] == 20000254)
        said = {name: value for name, value in app.items() if name.startswith("workspace")}
        assert said == {"workspaceRunState": "运行", "workspaceRunPid": 77}, "and nothing of what was empty"
    await ada.call("POST", "/app/update-basic", json={"appId": 20000254, "appName": "改名"})
    again = await ada.call("GET", "/app/info", params={"appId": 20000254})
    assert (again["appName"], again["workspaceRunPid"]) == ("改名", 77)


async def test_imported_apps_keep_their_ids_states_and_last_jobs(platform: Platform, field: Database) -> None:
    with pytest.raises(ConfigError, match="funai import users"):
        await importing.import_apps(field, platform.core.db)
    await importing.import_users(field, platform.core.db)
    report = await importing.import_apps(field, platform.core.db)
    assert (report.taken, len(report.notes)) == (3, 1)
    ada = await platform.sign_in("ada")
    shown = {a["id"]: a for a in await ada.call("GET", "/app/list")}
    assert (shown[20000254]["appStatus"], shown[20000254]["appType"], shown[20000254]["appKey"]) == (3, "fullstack", "k1")
    assert shown[20000254]["lastJobId"] == number_of(UUID)
    assert (shown[20000255]["appStatus"], shown[20000255]["appName"]) == (1, "商城 (20000255)")
    assert (await importing.import_apps(field, platform.core.db)).known == 3
    assert await ada.app() == 20000257


async def test_an_id_that_is_anothers_here_is_refused(platform: Platform, field: Database) -> None:
    async with field.write() as conn:
        await conn.exec_driver_sql("UPDATE fun_ai_user SET id = 1 WHERE id = 10001")
    await platform.person("somebody")
    with pytest.raises(ConfigError, match="fun_ai_user: 1 is another's here"):
        await importing.import_users(field, platform.core.db)


async def _altered(db: Database, *statements: str) -> None:
    async with db.write() as conn:
        for statement in statements:
            await conn.exec_driver_sql(statement)


async def test_columns_of_other_names_are_refused_by_a_list_and_taken_when_named(platform: Platform, field: Database) -> None:
    await _altered(field, "ALTER TABLE fun_ai_user RENAME COLUMN user_name TO account")
    with pytest.raises(ConfigError) as refused:
        await importing.import_users(field, platform.core.db)
    assert "user_name is in none of user_name, username, name; name its column by --column user_name=…" in str(refused.value)
    assert "it has id, account, password, email, create_time, update_time" in str(refused.value)
    for wrong, words in (
        ({"user_name": "login"}, "--column user_name=login: there is no such column"),
        ({"colour": "account"}, "is no field of fun_ai_user; those are id, user_name, password"),
    ):
        with pytest.raises(ConfigError, match=words):
            await importing.import_users(field, platform.core.db, wrong)
    assert (await importing.import_users(field, platform.core.db, {"user_name": "ACCOUNT"})).taken == 2
    await platform.sign_in("ada")


async def test_missing_columns_that_may_be_empty_are_said(platform: Platform, field: Database) -> None:
    await importing.import_users(field, platform.core.db)
    await _altered(field, "ALTER TABLE fun_ai_app DROP COLUMN app_key", "ALTER TABLE fun_ai_app DROP COLUMN app_type")
    report = await importing.import_apps(field, platform.core.db)
    assert report.taken == 3
    assert report.notes[0].startswith("fun_ai_app: has no column for app_type, app_key")


async def test_a_number_that_is_none_is_refused_with_its_row(platform: Platform, field: Database) -> None:
    await importing.import_users(field, platform.core.db)
    await _altered(field, "UPDATE fun_ai_app SET app_status = 'ready' WHERE id = 20000255")
    with pytest.raises(ConfigError, match="fun_ai_app: 20000255: app_status is 'ready', which is no number"):
        await importing.import_apps(field, platform.core.db)
