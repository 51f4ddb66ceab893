"""The rows that the queue's bench finds in its tables: apps with a place, jobs that ended, jobs that wait."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import insert, text

from funai.base.db.engine import Database
from funai.deploy import main as deploy
from funai.deploy.tables import job, placement


async def prepare(url: str, apps: int) -> None:
    """One healthy node with every app placed on it."""
    db = Database(url)
    await deploy.upgrade(db)
    async with db.write() as conn:
        await conn.execute(insert(placement), [{"app_id": n, "node_id": 1, "created_ms": 1} for n in range(1, apps + 1)])
    await db.close()


async def finished_rows(url: str, rows: int) -> None:
    """Old SUCCEEDED jobs, ten an app, made by the database itself."""
    digits = "(" + " UNION ALL ".join(f"SELECT {d} AS d" for d in range(10)) + ")"
    number = " + ".join(f"{10**i} * t{i}.d" for i in range(6))
    columns = "type, app_id, user_id, status, payload_json, attempt, turn, claimable, created_ms, updated_ms, finished_ms"
    row = f"'BUILD_AND_DEPLOY', 1000000 + ({number}) / 10, ({number}) % 997, 'SUCCEEDED', '{{}}', 1, {number}, 1, 1, 1, 1"
    tables = ", ".join(f"{digits} t{i}" for i in range(6))
    where = f" WHERE {number} < {rows}" if rows < 10**6 else ""
    db = Database(url)
    async with db.write() as conn:
        await conn.execute(text(f"INSERT INTO fun_ai_deploy_job ({columns}) SELECT {row} FROM {tables}{where}"))
    async with db.write() as conn:
        await conn.execute(text("ANALYZE TABLE fun_ai_deploy_job" if "mysql" in url else "ANALYZE"))
    await db.close()


async def pending_rows(url: str, first_app: int, rows: int) -> None:
    db = Database(url)
    async with db.write() as conn:
        made = [
            {"type": "BUILD_AND_DEPLOY", "status": "PENDING", "app_id": first_app + n, "user_id": n % 50, "turn": n // 50}
            | {"payload_json": json.dumps(payload(first_app + n)), "created_ms": 1, "updated_ms": 1}
            for n in range(rows)
        ]
        await conn.execute(insert(job), made)
    await db.close()


def payload(app: int) -> dict[str, Any]:
    return {
        "userId": app % 50 + 1,
        "appId": app,
        "appName": "bench",
        "containerPort": 3000,
        "basePath": f"/runtime/{app}",
        "imageTag": "latest",
        "gitRef": "main",
        "repoSshUrl": f"ssh://git@git.local:2222/funai/u1-app{app}.git",
    }
