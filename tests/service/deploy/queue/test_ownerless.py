"""Jobs that are no app's grow old too, in each database."""

from __future__ import annotations

from sqlalchemy import func, insert, select

from funai.base.db.engine import Database, Dialect
from funai.deploy import main, tables
from funai.deploy.queue.maintenance.ownerless import OwnerlessConfig
from funai.deploy.queue.statements import ownerless_candidates
from tests.service.deploy.queue.kit import settings

MANY = 3_000


async def fill(db: Database, app_id: int | None, statuses: list[str]) -> None:
    made = [{"type": "X", "app_id": app_id, "status": s, "payload_json": "{}"} for s in statuses]
    async with db.write() as conn:
        for start in range(0, len(made), 500):
            await conn.execute(insert(tables.job), made[start : start + 500])


async def left(db: Database) -> dict[str, int]:
    counted = select(tables.job.c.status, func.count().label("n")).where(tables.job.c.app_id.is_(None))
    return {r["status"]: r["n"] for r in await db.fetch_all(counted.group_by(tables.job.c.status))}


async def test_only_the_newest_finished_ones_are_kept(database_url: str) -> None:
    core = main.build(settings(database_url)).state.core
    await main.upgrade(core.db)
    ownerless = core.maintenance.ownerless
    ownerless.config = OwnerlessConfig(keep=3, batch=4, batches=2)
    await fill(core.db, None, ["RUNNING", "PENDING", *["SUCCEEDED"] * 5, *["FAILED"] * 7])
    await fill(core.db, 1, ["SUCCEEDED"] * 5)
    assert await ownerless.run_once() == 8
    assert await left(core.db) == {"RUNNING": 1, "PENDING": 1, "FAILED": 3, "SUCCEEDED": 1}
    assert await ownerless.run_once() == 1
    assert await ownerless.run_once() == 0
    assert await left(core.db) == {"RUNNING": 1, "PENDING": 1, "FAILED": 3}
    rest = await core.db.fetch_all(select(tables.job.c.id).where(tables.job.c.app_id == 1))
    assert len(rest) == 5
    await core.db.close()


async def test_they_are_found_by_an_index(database_url: str) -> None:
    db = Database(database_url)
    await main.upgrade(db)
    for app_id in range(1, 7):
        await fill(db, app_id, ["SUCCEEDED"] * (MANY // 6))
    await fill(db, None, ["SUCCEEDED"] * 5)
    async with db.write() as conn:
        await conn.exec_driver_sql("ANALYZE TABLE fun_ai_deploy_job" if db.dialect is Dialect.MYSQL else "ANALYZE")
        candidates = ownerless_candidates().limit(50).offset(2)
        text = candidates.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
        explain = "EXPLAIN QUERY PLAN" if db.dialect is Dialect.SQLITE else "EXPLAIN"
        plan = str([tuple(r) for r in await conn.exec_driver_sql(f"{explain} {text}")])
    assert "fun_ai_deploy_job_app" in plan, plan
    assert "TEMP B-TREE" not in plan and "filesort" not in plan, plan
    await db.close()
