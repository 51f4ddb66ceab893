"""The services of before, scripted: they do what was recorded of them, and no more."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI, Request
from sqlalchemy import text

from funai.base.db.engine import Database
from tests.service.deploy.migrations.field import NODE_ID

NODE = "rt-node-01"


class OldDeploy:
    """Deploy of before on its own tables: it makes a job, gives it to a Runner, takes its word."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def _run(self, sql: str, **given: Any) -> None:
        async with self.db.write() as conn:
            await conn.execute(text(sql), given)

    async def create(self, app_id: int) -> str:
        job_id = str(uuid.uuid4())
        payload = json.dumps({"userId": 4, "appId": app_id, "image": f"r.local/funaistudio/u4-app{app_id}:latest"})
        await self._run(
            "INSERT INTO fun_ai_deploy_job (id, type, app_id, status, payload_json, create_time, update_time, version)"
            " VALUES (:id, 'BUILD_AND_DEPLOY', :app, 'PENDING', :payload, NOW(6), NOW(6), 0)",
            id=job_id,
            app=str(app_id),
            payload=payload,
        )
        return job_id

    async def claim(self, runner_id: str) -> dict[str, Any] | None:
        pending = "SELECT * FROM fun_ai_deploy_job WHERE status = 'PENDING' ORDER BY create_time LIMIT 1"
        if (row := await self.db.fetch_one(text(pending))) is None:
            return None
        await self._run(
            "UPDATE fun_ai_deploy_job SET status = 'RUNNING', runner_id = :r, version = version + 1, update_time = NOW(6),"
            " lease_expire_at = ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) + 60000 WHERE id = :id",
            r=runner_id,
            id=row["id"],
        )
        held = await self.job(row["id"])
        node = await self.db.fetch_one(text("SELECT * FROM fun_ai_deploy_runtime_node"))
        assert node is not None
        placed = {
            "id": {"value": NODE_ID},
            "name": NODE,
            "agentBaseUrl": node["agent_base_url"],
            "gatewayBaseUrl": node["gateway_base_url"],
            "enabled": True,
            "weight": 100,
            "lastHeartbeatAt": "2026-01-01T10:00:00Z",
            "diskFreePct": 70.5,
        }
        return held | {"runtimeNode": placed, "payload": held["payload"] | {"attempt": 1, "runStartedAt": 1767225600000}}

    async def job(self, job_id: str) -> dict[str, Any]:
        row = await self.db.fetch_one(text("SELECT * FROM fun_ai_deploy_job WHERE id = :id"), {"id": job_id})
        assert row is not None
        return {
            "id": row["id"],
            "type": row["type"],
            "status": row["status"],
            "payload": json.loads(row["payload_json"]),
            "errorMessage": row["error_message"],
            "runnerId": row["runner_id"],
            "leaseExpireAt": None,
            "runtimeNode": None,
            "deployUrl": None,
            "createdAt": "2026-01-01T10:00:00.123456Z",
            "updatedAt": "2026-01-01T10:00:00.123456Z",
        }

    def app(self) -> FastAPI:
        """Its calls for Runners: errors have HTTP 200, ids are texts, a call of today's it does not know."""
        app = FastAPI()

        def said(data: Any) -> dict[str, Any]:
            return {"code": 200, "message": "success", "data": data}

        @app.post("/deploy/jobs/claim")
        async def claim(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
            return said(await self.claim((await request.json())["runnerId"]))

        @app.post("/deploy/jobs/{job_id}/heartbeat")
        async def heartbeat(job_id: str) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
            return said(await self.job(job_id))

        @app.post("/deploy/jobs/{job_id}/report")
        async def report(job_id: str, request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
            await self.report(job_id, (await request.json())["status"])
            return said(await self.job(job_id))

        return app

    async def report(self, job_id: str, status: str) -> None:
        await self._run("UPDATE fun_ai_deploy_job SET status = :s, update_time = NOW(6) WHERE id = :id", s=status, id=job_id)

    async def status(self, job_id: object) -> str:
        row = await self.db.fetch_one(text("SELECT status FROM fun_ai_deploy_job WHERE id = :id"), {"id": str(job_id)})
        assert row is not None, f"{job_id} is lost"
        return str(row["status"])


@dataclass
class OldAgent:
    """The runtime-agent of before, with its gateway's path: it remembers what it deployed."""

    deployed: list[str] = field(default_factory=list[str])
    gone: list[str] = field(default_factory=list[str])

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/agent/apps/deploy")
        async def deploy(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
            body = await request.json()
            self.deployed.append(str(body["appId"]))
            name = f"rt-u-{body['userId']}-{body['appId']}"
            return {"appId": str(body["appId"]), "containerName": name, "status": "DEPLOYED", "previewUrl": None}

        @app.post("/agent/apps/stop")
        async def stop(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
            return {"appId": str((await request.json())["appId"]), "status": "STOPPED"}

        @app.post("/agent/apps/delete")
        async def delete(request: Request) -> dict[str, Any]:  # pyright: ignore[reportUnusedFunction]
            app_id = str((await request.json())["appId"])
            self.gone.append(app_id)
            images = {"removed": [f"r.local/funaistudio/u4-app{app_id}:latest"], "kept": []}
            mongo = {"enabled": False, "dropped": False}
            return {"appId": app_id, "status": "DELETED", "images": images, "mongo": mongo}

        @app.get("/agent/apps/status")
        async def status(userId: str, appId: str) -> dict[str, Any]:  # noqa: N803  # pyright: ignore[reportUnusedFunction]
            name = f"rt-u-{userId}-{appId}"
            up = appId in self.deployed
            return {"appId": appId, "containerName": name, "exists": up, "running": up, "image": "x:1", "port": 3000}

        @app.get("/runtime/{app_id}/")
        async def serve(app_id: str) -> str:  # pyright: ignore[reportUnusedFunction]
            return f"app {app_id}"

        return app


class OldRunner:
    """The Runner of before: it claims from the Deploy at hand, waits 30 s for the agent, and tells SUCCEEDED or FAILED."""

    def __init__(self, runner_id: str = "runner-101") -> None:
        self.id = runner_id

    async def carry_out(self, job: dict[str, Any]) -> str:
        """What it does with a job that it holds; answers the status it will report."""
        payload = job["payload"]
        body = {"userId": payload["userId"], "appId": payload["appId"], "image": payload["image"], "containerPort": 3000}
        async with httpx.AsyncClient(timeout=30, trust_env=False, headers={"X-Runtime-Token": "test-token-1"}) as http:
            answer = await http.post(f"{job['runtimeNode']['agentBaseUrl']}/agent/apps/deploy", json=body)
        return "SUCCEEDED" if answer.status_code == 200 else "FAILED"

    async def work(self, deploy: httpx.AsyncClient) -> Any:
        """One job from a Deploy over HTTP; answers its id as it was given."""
        claimed = (await deploy.post("/deploy/jobs/claim", json={"runnerId": self.id, "leaseSeconds": 30})).json()["data"]
        assert claimed, "there is no job"
        await self.end(deploy, claimed)
        return claimed["id"]

    async def end(self, deploy: httpx.AsyncClient, job: dict[str, Any]) -> None:
        path = f"/deploy/jobs/{job['id']}"
        beat = {"runnerId": self.id, "extendSeconds": 30, "phase": "DEPLOY", "phaseMessage": "deploying"}
        assert (await deploy.post(f"{path}/heartbeat", json=beat)).json()["data"]["status"] == "RUNNING"
        said = {"runnerId": self.id, "status": await self.carry_out(job)}
        assert (await deploy.post(f"{path}/report", json=said)).json()["code"] == 200


class OldApi:
    """The API of before: a JDK client, which asks for an upgrade with every POST and reads ids as texts or numbers."""

    HEADERS = {"X-DEPLOY-SECRET": "s3cret-api", "Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}  # noqa: RUF012

    def __init__(self, deploy: httpx.AsyncClient) -> None:
        self.deploy = deploy

    async def create(self, app_id: int) -> str:
        payload = {
            "userId": 4,
            "appId": app_id,
            "image": f"r.local/funaistudio/u4-app{app_id}:latest",
            "basePath": f"/runtime/{app_id}",
        }
        body = {"type": "BUILD_AND_DEPLOY", "payload": payload}
        answer = (await self.deploy.post("/deploy/jobs", json=body, headers=self.HEADERS)).json()
        assert answer["code"] == 200, answer
        return str(answer["data"]["id"])

    async def status(self, job_id: object) -> str:
        answer = (await self.deploy.get(f"/deploy/jobs/{job_id}", headers=self.HEADERS)).json()
        assert answer["code"] == 200, answer
        return str(answer["data"]["status"])

    async def stop(self, app_id: int) -> dict[str, Any]:
        return await self._apps("stop", app_id)

    async def delete(self, app_id: int) -> dict[str, Any]:
        return await self._apps("cleanup", app_id)

    async def _apps(self, call: str, app_id: int) -> dict[str, Any]:
        body = {"userId": 4, "appId": app_id}
        answer = (await self.deploy.post(f"/deploy/apps/{call}", json=body, headers=self.HEADERS)).json()
        assert answer["code"] == 200, answer
        return answer["data"]

    async def admin(self, path: str, token: str, **params: Any) -> Any:
        headers = {**self.HEADERS, "X-Admin-Token": token}
        answer = (await self.deploy.get(f"/admin/{path}", params=params, headers=headers)).json()
        assert answer["code"] == 200, answer
        return answer["data"]
