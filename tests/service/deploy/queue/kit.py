"""Deploy in process over real databases: what the queue's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI

from funai.base.clients.deploy import DeployClient, NodeDeployClient, RunnerDeployClient
from funai.contracts.jobs import CreateJob, Payload
from funai.contracts.nodes import NodeHeartbeat
from funai.contracts.states import JobType
from funai.deploy import main
from funai.deploy.settings import DeploySettings

SECRET, ADMIN, NODE, RUNNER = "s3cret-api", "s3cret-admin", "s3cret-node", "s3cret-runner"


def settings(url: str, **more: Any) -> DeploySettings:
    given: dict[str, Any] = {
        "datasource_url": url,
        "proxy_auth_secret": SECRET,
        "admin_token": ADMIN,
        "node_registry_secret": NODE,
        "runner_token": RUNNER,
        "agent_token": "s3cret-agent",
        "sweep_seconds": 0.2,
        "retry_backoff_seconds": 0,
    }
    return DeploySettings(**(given | more))


class Deploy:
    """A Deploy service in this process, and clients of it that speak HTTP through its ASGI app."""

    def __init__(self, app: FastAPI) -> None:
        self.app, self.core = app, app.state.core
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.api = DeployClient("http://deploy", SECRET, http=transport)
        self.runner = RunnerDeployClient("http://deploy", RUNNER, http=transport)
        self.nodes = NodeDeployClient("http://deploy", NODE, http=transport)
        self.raw = httpx.AsyncClient(base_url="http://deploy", transport=transport, headers={"X-DEPLOY-SECRET": SECRET})

    async def node(self, name: str = "n1", free: float = 80) -> None:
        await self.nodes.heartbeat(
            NodeHeartbeat(
                node_name=name,
                agent_base_url=f"http://{name}:7005",
                gateway_base_url=f"http://{name}",
                disk_free_pct=free,
                disk_free_bytes=int(free * 10**9),
            )
        )

    async def create(self, app_id: int, user_id: int = 1, **more: Any) -> int:
        payload = Payload(app_id=app_id, user_id=user_id, image="registry.local/x/y:1", **more)
        return (await self.api.create(CreateJob(type=JobType.BUILD_AND_DEPLOY, payload=payload))).id

    async def close(self) -> None:
        for client in (self.api, self.runner, self.nodes):
            await client.close()
        await self.raw.aclose()


@asynccontextmanager
async def deploying(url: str, **more: Any) -> AsyncIterator[Deploy]:
    app = main.build(settings(url, **more))
    deploy = Deploy(app)
    async with main.running(deploy.core):
        yield deploy
        await deploy.close()
