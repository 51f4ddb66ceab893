"""Taking over the tables of an earlier installation, and giving them back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from funai.base.db.engine import Database
from funai.contracts.errors import ConfigError
from funai.contracts.jobs import ClaimJob, HeartbeatJob, ReportJob
from funai.contracts.states import JobStatus
from funai.deploy import main
from funai.deploy.migrations import takeover
from tests.service.deploy.migrations.field import NODE_ID, install, job_id, job_row
from tests.service.deploy.queue.kit import deploying

LATER = 9_999_999_999_999
TABLES = ("fun_ai_deploy_job", "fun_ai_deploy_runtime_node", "fun_ai_deploy_runtime_placement", "fun_ai_deploy_app_run")


@pytest.fixture
async def old(mariadb_url: str) -> AsyncIterator[Database]:
    """1,000 finished jobs of 100 apps, one that runs and one that waits."""
    db = Database(mariadb_url)
    jobs = [job_row(n, 20_000_000 + n % 100, "FAILED" if n % 7 == 0 else "SUCCEEDED", error="构建失败") for n in range(1_000)]
    jobs.append(job_row(1_000, 20_000_254, "RUNNING", lease=LATER))
    jobs.append(job_row(1_001, 20_000_255, "PENDING", runner=None))
    await install(db, jobs)
    yield db
    await db.close()


async def rows(db: Database, table: str, columns: str = "*", order: str = "1") -> list[dict[str, Any]]:
    return await db.fetch_all(text(f"SELECT {columns} FROM {table} ORDER BY {order}"))


async def test_takeover_field_tables_keep_every_row(old: Database, mariadb_url: str) -> None:
    before = await rows(old, "fun_ai_deploy_job", "id, app_id, status, payload_json, create_time", "create_time")
    await main.upgrade(old)
    after = await rows(old, "fun_ai_deploy_job", "id, old_id, app_id, status, payload_json, create_time", "id")
    assert [r.pop("id") for r in after] == list(range(1, 1_003)), "numbers are given in the order of create_time"
    assert [{"id": r.pop("old_id"), **r, "app_id": str(r["app_id"])} for r in after] == before
    (last,) = await old.fetch_all(text("SELECT * FROM fun_ai_deploy_app_run WHERE app_id = 20000254"))
    assert (last["last_job_id"], last["last_deployed_ms"]) == (1_001, 1767225600000)
    await old.close()
    async with deploying(mariadb_url) as d:
        job = await d.api.job(job_id(7))
        assert (job.id, job.old_id, job.status, job.error_message) == (8, job_id(7), JobStatus.FAILED, "构建失败")
        assert (await d.api.job(8)).old_id == job_id(7)
        beat = await d.runner.heartbeat(job_id(1_000), HeartbeatJob(runner_id="runner-101"))
        assert beat.status is JobStatus.RUNNING, "an older Runner goes on with the job that it holds, by its text id"
        await d.runner.report(job_id(1_000), ReportJob(runner_id="runner-101", status=JobStatus.SUCCEEDED))
        await d.node("rt-node-01")
        claimed = await d.runner.claim(ClaimJob(runner_id="runner-101"))
        assert claimed is not None
        assert claimed.runtime_node is not None
        assert (claimed.old_id, claimed.runtime_node.id) == (job_id(1_001), NODE_ID)
        await d.node("rt-node-02")
        assert [n.id for n in await d.core.nodes.list()] == [NODE_ID, NODE_ID + 1], "a new node gets an id"
        assert await d.create(20_000_000) > 1_002
        missing = (await d.raw.get(f"/deploy/jobs/{job_id(-1)}")).json()
        assert (missing["code"], missing["reason"]) == (404, "JOB_NOT_FOUND")


class Killed(Exception):
    pass


async def test_takeover_killed_anywhere_and_run_again_gives_the_same(old: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    left, run = 0, takeover.ddl

    def dying(conn: Any, sql: str) -> None:
        nonlocal left
        if not left:
            raise Killed
        left -= 1
        run(conn, sql)

    monkeypatch.setattr(takeover, "ddl", dying)
    for statements in (1, 4, 6, 2, 5):
        left = statements
        with pytest.raises(Killed):
            await main.upgrade(old)
    monkeypatch.undo()
    await main.upgrade(old)
    once = [await rows(old, table) for table in TABLES]
    await main.upgrade(old)
    assert [await rows(old, table) for table in TABLES] == once
    assert len(once[0]) == 1_002


async def test_takeover_check_tells_and_changes_nothing(old: Database) -> None:
    told = await main.check(old)
    assert told[0].startswith("fun_ai_deploy_job: 1002 rows are copied")
    assert "funai_deploy_version is at nothing" in told[-1]
    assert "old_id" not in (await rows(old, "fun_ai_deploy_job"))[0]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ("UPDATE fun_ai_deploy_job SET app_id = 'demo' LIMIT 3", "fun_ai_deploy_job: 3 rows have an app_id that is no number"),
        ("UPDATE fun_ai_deploy_job SET status = 'LOST' LIMIT 2", "fun_ai_deploy_job: 2 rows have a status other than"),
        ("UPDATE fun_ai_deploy_job SET update_time = NOW() + INTERVAL 8 HOUR LIMIT 1", "name it with --time-zone"),
        ("UPDATE fun_ai_deploy_runtime_placement SET app_id = '007' LIMIT 1", "such as '007'"),
        ("ALTER TABLE fun_ai_deploy_job DROP COLUMN create_time", "fun_ai_deploy_job: has no column create_time"),
    ],
)
async def test_takeover_of_what_it_cannot_take_refuses_with_a_line(old: Database, spoil: str, said: str) -> None:
    async with old.write() as conn:
        await conn.exec_driver_sql(spoil)
    for step in (main.check, main.upgrade):
        with pytest.raises(ConfigError) as refused:
            await step(old)
        assert said in refused.value.problems[0]
        assert len(refused.value.problems) == 1
    assert not [t for t in await old.fetch_all(text("SHOW TABLES")) if "taking" in str(t)]


async def test_downgrade_gives_the_tables_back_with_what_happened_since(old: Database, mariadb_url: str) -> None:
    ddl = [await old.fetch_all(text(f"SHOW CREATE TABLE {t}")) for t in TABLES]
    before = [await rows(old, t) for t in TABLES]
    await main.upgrade(old)
    async with deploying(mariadb_url) as d:
        new = await d.create(20_000_001)
    given_back = await main.downgrade(old)
    assert given_back == list(TABLES)
    assert [await old.fetch_all(text(f"SHOW CREATE TABLE {t}")) for t in TABLES] == ddl
    jobs = await rows(old, TABLES[0])
    assert [r["app_id"] for r in jobs if r["id"] == str(new)] == ["20000001"]
    kept = {r["id"] for r in before[0]} - {r["id"] for r in jobs}
    assert not kept - {job_id(n) for n in range(1_000)}, "what is gone was pruned: ten jobs an app are kept"
    assert [await rows(old, t) for t in TABLES[2:]] == before[2:]
    async with old.write() as conn:
        await conn.exec_driver_sql(
            "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, create_time, update_time, version)"
            f" VALUES ('{job_id(2_000)}', 'BUILD_AND_DEPLOY', '20000002', 'PENDING', NOW(6), NOW(6), 0)"
        )
    await main.upgrade(old)
    numbers = {r["old_id"]: r["id"] for r in await rows(old, TABLES[0], "id, old_id")}
    assert numbers[job_id(999)] == 1_000, "a job that was numbered before keeps its number"
    assert numbers[job_id(2_000)] > new


async def test_takeover_reads_times_in_the_zone_that_they_were_written_in(old: Database) -> None:
    await main.upgrade(old, "Asia/Shanghai")
    (row,) = await rows(old, "fun_ai_deploy_job WHERE id = 1", "created_ms")
    assert row["created_ms"] == 1767261600123 - 8 * 3_600_000
