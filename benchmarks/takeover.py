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


async def measure(url: str, jobs: int) -> dict[str, float | int]:
    """Seconds of the upgrade, of a second one, and of the way back."""
    db = Database(url)
    try:
        await install(db, [job_row(n, 20_000_000 + n % max(1, jobs // 10), error="构建失败") for n in range(jobs)])
        took: dict[str, float | int] = {"jobs": jobs}
        for name, step in (("upgrade", deploy.upgrade), ("again", deploy.upgrade), ("downgrade", deploy.downgrade)):
            began = time.monotonic()
            await step(db)
            took[f"{name}_seconds"] = round(time.monotonic() - began, 2)
            (row,) = await db.fetch_all(text("SELECT COUNT(*) AS n FROM fun_ai_deploy_job"))
            assert row["n"] == jobs, f"{name}: {row['n']} of {jobs} jobs"
        kept = await db.fetch_one(text("SELECT id FROM fun_ai_deploy_job WHERE id = :id"), {"id": job_id(jobs - 1)})
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
