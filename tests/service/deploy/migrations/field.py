"""An installation of the platform's earlier implementation, on MariaDB in its own DDL, with rows."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

from sqlalchemy import text

from funai.base.db.engine import Database

SCHEMA = Path(__file__).with_name("field.sql")
NODE_ID = 1783920117342931
JOB_ROW = text(
    "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, payload_json, error_message, runner_id, lease_expire_at,"
    " create_time, update_time, version) VALUES (:id, 'BUILD_AND_DEPLOY', :app, :status, :payload, :error, :runner, :lease,"
    " TIMESTAMPADD(SECOND, :second, '2026-01-01 10:00:00.123456'),"
    " TIMESTAMPADD(SECOND, :second + 5, '2026-01-01 10:00:00.123456'), 1)"
)


def job_id(number: int) -> str:
    """The same text for the same number, in no order."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))


def job_row(number: int, app_id: int, status: str = "SUCCEEDED", **more: object) -> dict[str, object]:
    payload = {"userId": 4, "appId": app_id, "appName": "应用", "containerPort": 3000, "imageTag": "latest"}
    return {
        "id": job_id(number),
        "app": str(app_id),
        "status": status,
        "payload": json.dumps(payload, ensure_ascii=False),
        "error": None,
        "runner": "runner-101",
        "lease": None,
        "second": number,
        **more,
    }


async def install(db: Database, jobs: list[dict[str, object]]) -> None:
    """The four tables with a node, placements and last runs beside ``jobs``."""
    async with db.write() as conn:
        for statement in SCHEMA.read_text().split(";\n"):
            if statement.strip():
                await conn.exec_driver_sql(statement)
        for start in range(0, len(jobs), 5_000):
            await conn.execute(JOB_ROW, jobs[start : start + 5_000])
        await conn.exec_driver_sql(
            "INSERT INTO fun_ai_deploy_runtime_node VALUES"
            f" ({NODE_ID}, 'rt-node-01', 'http://172.21.138.102:7005', 'https://studio.fun.tv', 1, 100, NOW(6), 70.5, 700000,"
            " 3, NOW(6), NOW(6))"
        )
        apps = sorted({int(str(j["app"])) for j in jobs})
        await conn.execute(
            text("INSERT INTO fun_ai_deploy_runtime_placement VALUES (:app, :node, 1767225600000, NOW(6), NOW(6))"),
            [{"app": str(app), "node": NODE_ID} for app in apps],
        )
        last = {str(j["app"]): j for j in jobs}
        await conn.execute(
            text(
                "INSERT INTO fun_ai_deploy_app_run VALUES (:app, :node, :job, :status, NULL, 1767225600000, 1767225601000,"
                " NOW(6), NOW(6))"
            ),
            [{"app": app, "node": NODE_ID, "job": j["id"], "status": j["status"]} for app, j in last.items()],
        )
