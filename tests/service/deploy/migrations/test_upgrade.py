"""The schema: what a fresh database gets, and what becomes of an existing installation's tables and rows."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import IntegrityError

from funai.base.db import migrate
from funai.base.db.engine import Database
from funai.contracts.errors import ConfigError, Conflict
from funai.contracts.jobs import ClaimJob, HeartbeatJob, ReportJob
from funai.contracts.states import JobStatus
from funai.deploy import main
from funai.deploy.tables import credential, metadata
from tests.service.deploy.queue.kit import deploying

EXISTING = """
CREATE TABLE fun_ai_deploy_job (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, type VARCHAR(32) NOT NULL, app_id BIGINT NULL, status VARCHAR(20) NOT NULL,
  payload_json TEXT NOT NULL, error_message VARCHAR(1000) NULL,
  runner_id VARCHAR(64) NULL DEFAULT 'none' COMMENT '执行者', lease_expire_at BIGINT NULL,
  create_time DATETIME NOT NULL, update_time DATETIME NOT NULL, version INT NOT NULL DEFAULT 0, KEY idx_status (status)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;
CREATE TABLE fun_ai_deploy_runtime_node (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64) NOT NULL, agent_base_url VARCHAR(255) NOT NULL,
  gateway_base_url VARCHAR(255) NOT NULL, enabled BIT(1) NOT NULL DEFAULT b'1', weight INT NOT NULL,
  last_heartbeat_at DATETIME NULL, disk_free_pct DOUBLE NULL, disk_free_bytes BIGINT NULL, container_count INT NULL,
  create_time DATETIME NOT NULL, update_time DATETIME NOT NULL, UNIQUE KEY uk_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
CREATE TABLE fun_ai_deploy_runtime_placement (
  app_id BIGINT NOT NULL PRIMARY KEY, node_id BIGINT NOT NULL, last_active_at BIGINT NULL,
  create_time DATETIME NOT NULL, update_time DATETIME NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE fun_ai_deploy_app_run (
  app_id BIGINT NOT NULL PRIMARY KEY, node_id BIGINT NULL, last_job_id BIGINT NULL, last_job_status VARCHAR(20) NULL,
  last_error VARCHAR(500) NULL, last_deployed_at BIGINT NULL, last_active_at BIGINT NULL,
  create_time DATETIME NOT NULL, update_time DATETIME NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO fun_ai_deploy_job VALUES
 (1, 'BUILD_AND_DEPLOY', 10, 'SUCCEEDED', '{"userId":4,"appId":10}', NULL, 'old', NULL,
  '2026-01-01 10:00:00', '2026-01-01 10:01:00', 3),
 (2, 'BUILD_AND_DEPLOY', 11, 'RUNNING', '{"userId":4,"appId":11}', NULL, 'old', 9999999999999, NOW(), NOW(), 1),
 (3, 'BUILD_AND_DEPLOY', 12, 'PENDING', '{"userId":5,"appId":12,"image":"r.local/a/b:1"}', NULL, NULL, NULL, NOW(), NOW(), 0),
 (4, 'BUILD_AND_DEPLOY', 12, 'PENDING', '{"userId":5,"appId":12,"image":"r.local/a/b:2"}', NULL, NULL, NULL, NOW(), NOW(), 0),
 (5, 'BUILD_AND_DEPLOY', 13, 'RUNNING', 'not json', NULL, 'gone', NULL, NOW(), NOW(), 0);
INSERT INTO fun_ai_deploy_runtime_node VALUES
 (7, 'n1', 'http://n1:7005', 'http://n1', 1, 100, UTC_TIMESTAMP(), 70, 700000, 3, NOW(), NOW()),
 (8, 'n2', 'http://n2:7005', 'http://n2', 0, 100, UTC_TIMESTAMP(), 90, 900000, 3, NOW(), NOW());
INSERT INTO fun_ai_deploy_runtime_placement VALUES (10, 7, 1767225600000, NOW(), NOW()), (12, 7, NULL, NOW(), NOW());
INSERT INTO fun_ai_deploy_app_run VALUES (10, 7, 1, 'SUCCEEDED', NULL, 1767225600000, NULL, NOW(), NOW())
"""


async def test_a_fresh_database_is_what_tables_say_also_after_newer_migrations_were_taken_back(database_url: str) -> None:
    db, changed = Database(database_url), set(CHANGED_SINCE_0007)
    try:
        await main.upgrade(db)
        async with db.read() as conn:
            assert await conn.run_sync(_differences) == []
        await migrate.alone(db, partial(_back_to, "0007"))
        async with db.read() as conn:
            assert {_place(d) for d in await conn.run_sync(_differences)} >= changed
        await main.upgrade(db)
        async with db.read() as conn:
            assert await conn.run_sync(_differences) == []
    finally:
        await db.close()


async def test_migrations_are_taken_back_one_by_one_and_the_first_is_refused(database_url: str) -> None:
    db = Database(database_url)
    try:
        await main.upgrade(db)
        await migrate.alone(db, partial(_back_to, "0001"))
        with pytest.raises(ConfigError, match=r"backup\.md"):
            await migrate.alone(db, partial(_back_to, "base"))
        await main.upgrade(db)
        async with db.read() as conn:
            assert await conn.run_sync(_differences) == []
        async with db.write() as conn:
            await conn.execute(credential.insert().values(kind="node", name="n1", token_hash="x" * 64, created_ms=1))
        with pytest.raises(ConfigError, match="fun_ai_deploy_credential"):
            await migrate.alone(db, partial(_back_to, "0001"))
        async with db.read() as conn:
            assert (await conn.execute(select(func.count()).select_from(credential))).scalar() == 1
    finally:
        await db.close()


CHANGED_SINCE_0007 = (
    "fun_ai_deploy_join_token",
    "fun_ai_deploy_runtime_node.upstream_url",
    "fun_ai_deploy_route_change",
    "fun_ai_deploy_alert",
    "fun_ai_deploy_move",
    "fun_ai_deploy_job.target_node_id",
)


def _differences(conn: Connection) -> list[Any]:
    def included(_: object, name: str | None, kind: str, *_more: object) -> bool:
        return _ours(name, kind)

    context = MigrationContext.configure(conn, opts={"compare_type": True, "include_object": included})
    return [d for d in compare_metadata(context, metadata) if not _elsewhere(d, conn.dialect.name)]


def _place(difference: Any) -> str:
    """The table that is missing, or the table and its missing column."""
    match difference[0]:
        case "add_table":
            return difference[1].name
        case "add_column":
            return f"{difference[2]}.{difference[3].name}"
        case other:
            return str(other)


def _back_to(revision: str, conn: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(main.MIGRATIONS))
    config.attributes["connection"] = conn
    command.downgrade(config, revision)


def _ours(name: str | None, kind: str) -> bool:
    return not (name or "").startswith("funai_") and name not in ("active_app_id", "fun_ai_deploy_job_active_app")


def _elsewhere(difference: Any, dialect: str) -> bool:
    """An index that is meant for other databases than this one is not missing here."""
    meant = {i.name: i.info["dialects"] for t in metadata.tables.values() for i in t.indexes if "dialects" in i.info}
    return difference[0] == "add_index" and dialect not in meant.get(difference[1].name, (dialect,))


async def test_the_constraint_is_the_databases_own(database_url: str) -> None:
    db = Database(database_url)
    row = "INSERT INTO fun_ai_deploy_job (type, app_id, status) VALUES ('X', 1, '{}')"
    try:
        await main.upgrade(db)
        for status in ("SUCCEEDED", "SUCCEEDED", "PENDING"):
            async with db.write() as conn:
                await conn.execute(text(row.format(status)))
        for status in ("PENDING", "RUNNING"):
            with pytest.raises(IntegrityError):
                async with db.write() as conn:
                    await conn.execute(text(row.format(status)))
    finally:
        await db.close()


async def test_several_instances_may_upgrade_at_once(database_url: str) -> None:
    dbs = [Database(database_url) for _ in range(4)]
    try:
        await asyncio.gather(*(main.upgrade(db) for db in dbs))
        newest = max(file.name[:4] for file in (main.MIGRATIONS / "versions").glob("0*.py"))
        assert await dbs[0].fetch_all(text("SELECT version_num FROM funai_deploy_version")) == [{"version_num": newest}]
    finally:
        for db in dbs:
            await db.close()


async def test_an_existing_installation_upgrades_in_place(mariadb_url: str) -> None:
    db = Database(mariadb_url)
    async with db.write() as conn:
        for statement in EXISTING.split(";\n"):
            await conn.exec_driver_sql(statement)
    before = await db.fetch_all(text("SELECT id, type, app_id, runner_id, create_time, payload_json FROM fun_ai_deploy_job"))
    await main.upgrade(db)
    after = await db.fetch_all(text("SELECT id, type, app_id, runner_id, create_time, payload_json FROM fun_ai_deploy_job"))
    assert after == before
    kept = "SELECT column_default, column_comment FROM information_schema.columns WHERE table_schema = DATABASE()"
    (runner_id,) = await db.fetch_all(text(f"{kept} AND table_name = 'fun_ai_deploy_job' AND column_name = 'runner_id'"))
    assert list(runner_id.values()) == ["'none'", "执行者"]
    await db.close()
    async with deploying(mariadb_url, max_attempts=1) as d:
        old = await d.api.job(1)
        assert (old.status, old.created_at.isoformat()) == (JobStatus.SUCCEEDED, "2026-01-01T10:00:00+00:00")
        assert (await d.api.job(4)).status is JobStatus.CANCELLED, "of two active jobs of an app one is kept"
        (told,) = await d.core.jobs.events(4, 10)
        assert (told.actor, told.source, told.target, told.attempt) == ("upgrade", "PENDING", "CANCELLED", 0)
        seen = await d.runner.heartbeat(2, HeartbeatJob(runner_id="old"))
        assert seen.status is JobStatus.RUNNING, "a runner in the field goes on with what it holds"
        got = await d.runner.claim(ClaimJob(runner_id="new", wait_seconds=5))
        assert got is not None
        assert got.runtime_node is not None
        assert (got.id, got.runtime_node.id) == (3, 7)
        said = ReportJob(runner_id="new", status=JobStatus.FAILED, error_message="很长的错误 🙂 " * 500)
        assert (await d.runner.report(3, said)).error_message == said.error_message
        with pytest.raises(Conflict):
            await d.create(11, user_id=4)
        await d.create(12, user_id=5)
        assert [(n.name, n.enabled) for n in await d.core.nodes.list()] == [("n1", True), ("n2", False)]
        await d.node("N1")
        assert [n.name for n in await d.core.nodes.list()] == ["n1", "n2", "N1"], "another name is another node"
