"""A claim touches rows in proportion to itself: not to what is finished, not to what is blocked, not to what waits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import BigInteger, Executable, text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import visitors

from funai.base.db.engine import Database, Dialect
from funai.deploy import main
from funai.deploy.queue.store import JobStore
from funai.deploy.settings import QueueOrder
from tests.parts.extent import extent
from tests.service.deploy.queue.neighbours import OneNode, Recorded

FINISHED, BLOCKED, CLAIMABLE = extent(100_000, 1_000_000), 25_000, 25_000
DIGITS = "(" + " UNION ALL ".join(f"SELECT {d} AS d" for d in range(10)) + ")"
TABLE = "fun_ai_deploy_job"
INDEX = "fun_ai_deploy_job_claim"


@pytest.fixture
async def crowded(database_url: str) -> AsyncIterator[Database]:
    """Finished jobs by the hundred thousand, blocked and claimable ones by the ten thousand, made by the database itself."""
    db = Database(database_url)
    await main.upgrade(db)
    async with db.write() as conn:
        dropped, made = await _indexes(db, conn)
        await _run(conn, dropped)
        await _run(conn, [_rows(10_000_000, FINISHED, "SUCCEEDED", 1), *made])
        await _run(conn, [_rows(20_000_000, BLOCKED, "PENDING", 0), _rows(30_000_000, CLAIMABLE, "PENDING", 1)])
    async with db.write() as conn:
        await conn.execute(text(f"ANALYZE TABLE {TABLE}" if db.dialect is Dialect.MYSQL else "ANALYZE"))
    yield db
    await db.close()


def _rows(first: int, count: int, status: str, claimable: int) -> str:
    """An INSERT of so many jobs, of as many apps from ``first`` on, that every database understands."""
    digits = range(len(str(count - 1)))
    number, tables = " + ".join(f"{10**i} * t{i}.d" for i in digits), ", ".join(f"{DIGITS} t{i}" for i in digits)
    columns = "type, app_id, user_id, status, payload_json, turn, claimable, available_at_ms, create_time, update_time"
    row = f"'X', {first} + n, n % 97, '{status}', '{{}}', n, {claimable}, 0, CURRENT_TIMESTAMP, CURRENT_TIMESTAMP"
    return f"INSERT INTO {TABLE} ({columns}) SELECT {row} FROM (SELECT {number} AS n FROM {tables}) k WHERE n < {count}"


async def _indexes(db: Database, conn: AsyncConnection) -> tuple[list[str], list[str]]:
    """What drops the table's indexes and what makes them anew, in the database's own words: one by one, a million rows
    take their places in them several times slower than all at once.
    """
    if db.dialect is Dialect.MYSQL:
        table: str = (await conn.execute(text(f"SHOW CREATE TABLE {TABLE}"))).one()[1]
        keys = [line.strip(" ,") for line in table.splitlines() if line.strip().startswith(("KEY", "UNIQUE KEY"))]
        drops, adds = (", ".join(f"DROP KEY `{key.split('`')[1]}`" for key in keys), ", ".join(f"ADD {key}" for key in keys))
        return [f"ALTER TABLE {TABLE} {drops}"], [f"ALTER TABLE {TABLE} {adds}"]
    known = {
        Dialect.SQLITE: f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = '{TABLE}' AND sql > ''",
        Dialect.POSTGRESQL: f"SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index"
        f" WHERE indrelid = '{TABLE}'::regclass AND NOT indisprimary",
    }
    rows = (await conn.execute(text(known[db.dialect]))).all()
    return [f"DROP INDEX {name}" for name, _ in rows], [made for _, made in rows]


async def _run(conn: AsyncConnection, statements: list[str]) -> None:
    assert statements
    for statement in statements:
        await conn.execute(text(statement))


async def test_a_claim_touches_a_handful_of_rows(crowded: Database) -> None:
    store = JobStore(crowded, placer=OneNode(), releases=Recorded(), order=QueueOrder.FAIR)
    measure = {Dialect.SQLITE: sqlite_steps, Dialect.POSTGRESQL: postgres_rows, Dialect.MYSQL: mysql_rows}[crowded.dialect]
    claim = store.sql.claim_pick[0] if crowded.dialect is Dialect.MYSQL else store.sql.claim
    given = {} if crowded.dialect is Dialect.MYSQL else {"p_runner": "r", "p_token": "t", "p_lease": 1000}
    await measure(crowded, claim, given)
    await measure(crowded, store.sql.turns, {"p_user": 5})
    await measure(crowded, store.sql.due, {"p_max_running": 10**12})
    await measure(crowded, store.sql.lapsed, {})
    await measure(crowded, store.sql.waits_for_node, {"p_early": 0, "p_limit": 8})
    await measure(crowded, store.sql.position, {"p_turn": 5, "p_id": 1, "p_limit": 10_000})
    await _found_by_the_claims_own_index(crowded, store)


async def sqlite_steps(db: Database, statement: Executable, given: dict[str, Any]) -> None:
    """Counts the virtual machine's instructions; a row looked at costs several."""
    async with db.write() as conn:
        assert conn.sync_connection is not None
        raw: Any = conn.sync_connection.connection.driver_connection
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        raw.set_progress_handler(count, 1)
        (await conn.execute(statement, given)).all()
        raw.set_progress_handler(None, 1)
    assert steps < 1500, f"{steps} instructions"


async def postgres_rows(db: Database, statement: Executable, given: dict[str, Any]) -> None:
    """Counts the rows every node of the executed plan looked at."""
    async with db.write() as conn:
        filled = visitors.cloned_traverse(statement, {}, {"bindparam": lambda b: _give(b, given)})
        sql = filled.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True})
        found = await conn.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        plan = found.scalar_one()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    nodes = list(_nodes(plan[0]["Plan"]))
    looked = sum(n["Actual Rows"] * n["Actual Loops"] + n.get("Rows Removed by Filter", 0) for n in nodes)
    assert looked < 60, json.dumps(plan)


def _give(bind: Any, given: dict[str, Any]) -> None:
    if bind.key in given:
        bind.value, bind.callable, bind.required = given[bind.key], None, False
        bind.type = BigInteger() if isinstance(bind.value, int) else bind.type


def _nodes(node: dict[str, Any]) -> Any:
    yield node
    for child in node.get("Plans", []):
        yield from _nodes(child)


async def mysql_rows(db: Database, statement: Executable, given: dict[str, Any]) -> None:
    """Counts the rows the storage engine was asked for."""
    async with db.write() as conn:
        await conn.execute(text("FLUSH STATUS"))
        (await conn.execute(statement, given)).all()
        rows = (await conn.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))).all()
    assert sum(int(r[1]) for r in rows) < 60, rows


async def _found_by_the_claims_own_index(crowded: Database, store: JobStore) -> None:
    head = visitors.cloned_traverse(store.sql.head, {}, {"bindparam": lambda b: _give(b, {"p_limit": 1})})
    head = head.compile(dialect=crowded.sync_engine.dialect, compile_kwargs={"literal_binds": True})
    explain = "EXPLAIN QUERY PLAN" if crowded.dialect is Dialect.SQLITE else "EXPLAIN"
    async with crowded.read() as conn:
        plan = str([tuple(r) for r in await conn.exec_driver_sql(f"{explain} {head}")])
    assert INDEX in plan
    assert "TEMP B-TREE" not in plan
    assert "filesort" not in plan
