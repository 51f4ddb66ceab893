"""Times taking over an installation with many jobs in its own DDL on MariaDB, and giving it back; one JSON line last.

``python -m benchmarks.takeover [--jobs 100000]``. On the way it checks that every job is there after each step.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import text

from funai.base.db.engine import Database
from funai.deploy import main as deploy
from tests.parts.databases import MariaDB
from tests.service.deploy.migrations.field import install, job_id, job_row

MORE = text(
    "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, payload_json, error_message, runner_id, create_time, update_time,"
    " version) SELECT UUID(), 'BUILD_AND_DEPLOY', 20000000 + seq % :apps, IF(seq % 7 = 0, 'FAILED', 'SUCCEEDED'),"
    " JSON_OBJECT('userId', 4, 'appId', 20000000 + seq % :apps, 'containerPort', 3000), NULL, 'runner-101',"
    " TIMESTAMPADD(SECOND, seq, '2026-01-01'), TIMESTAMPADD(SECOND, seq + 5, '2026-01-01'), 1"
    " FROM seq_1_to_10000000 WHERE seq <= :count"
)


async def measure(url: str, jobs: int) -> dict[str, float | int]:
    """Seconds of the upgrade, of a second one, and of the way back."""
    db = Database(url)
    try:
        await install(db, [job_row(0, 20_000_000)])
        async with db.write() as conn:
            await conn.execute(MORE, {"count": jobs - 1, "apps": max(1, jobs // 10)})
        took: dict[str, float | int] = {"jobs": jobs}
        for name, step in (("upgrade", deploy.upgrade), ("again", deploy.upgrade), ("downgrade", deploy.downgrade)):
            began = time.monotonic()
            await step(db)
            took[f"{name}_seconds"] = round(time.monotonic() - began, 2)
            (row,) = await db.fetch_all(text("SELECT COUNT(*) AS n FROM fun_ai_deploy_job"))
            assert row["n"] == jobs, f"{name}: {row['n']} of {jobs} jobs"
        kept = await db.fetch_one(text("SELECT id FROM fun_ai_deploy_job WHERE id = :id"), {"id": job_id(0)})
        assert kept is not None, "a job's text id is lost"
        return took
    finally:
        await db.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="funai-takeover-") as folder:
        Path(folder).chmod(0o755)
        mariadb = MariaDB(Path(folder))
        mariadb.create()
        try:
            took = asyncio.run(measure(mariadb.create_database("field"), asked.jobs))
        finally:
            mariadb.stop()
    sys.stdout.write(json.dumps(took) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
