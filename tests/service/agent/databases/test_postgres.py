"""What PostgreSQL alone can show: who may do what in an app's database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from funai.agent.databases.contract import AppKey, DatabaseAway, DatabaseRefused
from funai.agent.databases.postgresql.driver import PostgresDriver
from funai.agent.databases.quota import Quota
from funai.agent.databases.settings import DatabaseSettings
from tests.parts.databases import Postgres
from tests.parts.waiting import free_port
from tests.service.agent.databases.conftest import postgres_settings
from tests.service.agent.databases.tenant import PostgresTenant

KEY = AppKey(1, 31, "db_u1_a31")
OTHER = AppKey(1, 32, "db_u1_a32")


@pytest.fixture
async def driver(postgres: Postgres) -> AsyncIterator[PostgresDriver]:
    made = PostgresDriver(postgres_settings(postgres))
    yield made
    for key in (KEY, OTHER):
        await made.drop(key)


async def tenant(driver: PostgresDriver, key: AppKey = KEY) -> PostgresTenant:
    await driver.create(key)
    return PostgresTenant((await driver.credentials(key)).url)


async def test_account_of_an_app_reaches_no_other_apps_database(driver: PostgresDriver) -> None:
    app = await tenant(driver)
    await driver.create(OTHER)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await PostgresTenant(app.url.removesuffix("31") + "32").read()


async def test_account_of_an_app_makes_no_database_and_no_role(driver: PostgresDriver) -> None:
    app = await tenant(driver)
    for statement in ("CREATE DATABASE more", "CREATE ROLE more", "ALTER ROLE db_u1_a31 CONNECTION LIMIT 999"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.sql(statement)


async def test_rotate_ends_the_old_password_and_the_new_one_works(driver: PostgresDriver) -> None:
    old = await tenant(driver)
    await old.write("one")
    await driver.rotate(KEY)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await old.read()
    assert await (await tenant(driver)).read() == ["one"]


async def test_limit_lets_an_app_read_and_delete_but_not_write_even_where_it_owned_all(driver: PostgresDriver) -> None:
    app = await tenant(driver)
    await app.write("one")
    await app.sql("CREATE SCHEMA own")
    await app.sql("CREATE TABLE own.t (x int)")
    await driver.limit(KEY, read_only=True)
    assert await driver.limited(KEY)
    assert await app.read() == ["one"]
    await app.sql("GRANT ALL ON notes TO db_u1_a31")  # only warns that it granted nothing
    for statement in (
        "INSERT INTO notes (text) VALUES ('two')",
        "UPDATE notes SET text = 'longer'",
        "CREATE TABLE more (x int)",
        "INSERT INTO own.t VALUES (1)",
        "CREATE SCHEMA other",
        "CREATE TEMP TABLE t (x int)",
        "ALTER TABLE notes ADD COLUMN more text",
        "SELECT lo_from_bytea(0, 'more')",
        "SELECT lo_create(0)",
    ):
        with pytest.raises(asyncpg.PostgresError):
            await app.sql(statement)
    await driver.create(KEY)
    assert await driver.limited(KEY), "a deploy gives no right back"
    await app.clear()
    await driver.limit(KEY, read_only=False)
    assert not await driver.limited(KEY)
    await app.write("again")
    await app.sql("ALTER TABLE notes ADD COLUMN more text")
    assert await app.read() == ["again"]
    await app.sql("SELECT lo_unlink(lo_create(0))")


async def _locking(app: PostgresTenant) -> Any:
    """A connection of the app that holds a lock on its table."""
    held: Any = await asyncpg.connect(app.url)
    await held.execute("BEGIN")
    await held.execute("LOCK TABLE notes IN ACCESS EXCLUSIVE MODE")
    return held


async def test_limit_is_enforced_on_an_app_that_locks_its_tables(
    driver: PostgresDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funai.agent.databases.postgresql.driver.LOCK_SECONDS", 1)
    app = await tenant(driver)
    await app.write("one")
    held = await _locking(app)
    await driver.limit(KEY, read_only=True)
    assert await driver.limited(KEY)
    with pytest.raises(asyncpg.PostgresError):
        await app.write("two")
    assert await app.read() == ["one"], "it may log in again"
    held.terminate()


async def test_dump_of_an_app_that_locks_its_tables_ends(driver: PostgresDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("funai.agent.databases.postgresql.programs.LOCK_MS", 200)
    app = await tenant(driver)
    await app.write("one")
    held = await _locking(app)
    with pytest.raises(DatabaseRefused, match="pg_dump"):
        _ = [piece async for piece in driver.dump(KEY)]
    await held.close()


async def test_quota_is_enforced_over_it_and_lifted_below(driver: PostgresDriver) -> None:
    app = await tenant(driver)
    await app.write("one")
    size = await driver.size(KEY)
    quota = Quota(size // 2)
    await quota.check(driver, KEY)
    assert quota.full_of(KEY.app_id) == [driver.kind]
    assert await driver.limited(KEY)
    quota.limit = size * 2
    await quota.check(driver, KEY)
    assert not await driver.limited(KEY)


async def test_a_server_that_is_away_is_told_apart_from_one_that_refuses(postgres: Postgres) -> None:
    away = PostgresDriver(DatabaseSettings(postgres_url=f"postgresql://a:secret-word@127.0.0.1:{free_port()}/postgres"))
    with pytest.raises(DatabaseAway) as gone:
        await away.create(KEY)
    refusing = PostgresDriver(DatabaseSettings(postgres_url=f"postgresql://a:secret-word@127.0.0.1:{postgres.port}/postgres"))
    with pytest.raises(DatabaseRefused) as refused:
        await refusing.create(KEY)
    assert "secret-word" not in f"{gone.value}{refused.value}"


HOSTILE = """CREATE FUNCTION public.climb(int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
  BEGIN EXECUTE 'RESET ROLE'; EXECUTE 'CREATE ROLE climbed SUPERUSER'; EXCEPTION WHEN OTHERS THEN NULL; END;
  RETURN true;
END $$"""


async def test_dump_and_restore_run_an_apps_functions_without_our_rights(driver: PostgresDriver) -> None:
    app = await tenant(driver)
    await app.sql(HOSTILE)
    await app.sql("CREATE TABLE bait (x int DEFAULT 1 CHECK (public.climb(x)))")
    await app.sql("INSERT INTO bait VALUES (2)")
    dump = [piece async for piece in driver.dump(KEY)]

    async def again() -> AsyncIterator[bytes]:
        for piece in dump:
            yield piece

    await driver.restore(KEY, again())
    assert await app.sql("SELECT x FROM bait") is not None
    assert not await app.sql("SELECT 1 FROM pg_roles WHERE rolname = $1", "climbed")
