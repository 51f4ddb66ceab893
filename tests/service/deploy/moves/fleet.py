"""A whole Deploy over a database, without its background work, and the runner and the nodes that a test plays."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select, update

from funai.contracts.apps.moves import DrainProgress
from funai.contracts.jobs import ClaimJob, Failure, Job, JobResult, ReportJob
from funai.contracts.nodes import DrainNode, DrainReport, NodeHeartbeat, NodeHeartbeatAnswer, Placement, ReassignApp
from funai.contracts.states import JobStatus
from funai.deploy import tables
from funai.deploy.services import Core
from tests.service.deploy.queue.kit import Deploy

DIGEST = "sha256:" + "a" * 64


class Fleet:
    def __init__(self, deploy: Deploy) -> None:
        self.deploy = deploy
        self.core: Core = deploy.core

    async def beat(self, name: str, free: float = 60, **more: Any) -> NodeHeartbeatAnswer:
        given = {"nodeName": name, "agentBaseUrl": f"http://{name}:7005", "gatewayBaseUrl": f"http://{name}"}
        return await self.core.heartbeats.take(NodeHeartbeat.model_validate({**given, "diskFreePct": free, **more}))

    async def claim(self) -> Job:
        job = await self.deploy.runner.claim(ClaimJob(runner_id="r1"))
        assert job is not None
        return job

    async def nothing_to_claim(self) -> bool:
        return await self.deploy.runner.claim(ClaimJob(runner_id="r1")) is None

    async def succeed(self, job: Job) -> None:
        result = JobResult(image=f"registry.local/x/y@{DIGEST}", digest=DIGEST, container_port=8080)
        said = ReportJob(runner_id="r1", status=JobStatus.SUCCEEDED, lease_token=job.lease_token, result=result)
        await self.deploy.runner.report(job.id, said)

    async def fail(self, job: Job, code: str = "APP_UNHEALTHY") -> None:
        said = ReportJob(
            runner_id="r1", status=JobStatus.FAILED, lease_token=job.lease_token, error_message="no", failure=Failure(code=code)
        )
        await self.deploy.runner.report(job.id, said)

    async def live(self, app_id: int, **more: Any) -> str:
        """Deploy the app; answers the name of its node."""
        await self.deploy.create(app_id, **more)
        job = await self.claim()
        await self.succeed(job)
        assert job.runtime_node is not None
        return job.runtime_node.name

    async def round(self) -> None:
        """One round of the mover."""
        await self.core.moves.mover.run_once()

    async def reassign(self, app_id: int, node_id: int) -> Placement:
        return await self.core.nodes.reassign(ReassignApp(app_id=app_id, target_node_id=node_id))

    async def drain(self, node_id: int, **more: Any) -> DrainReport:
        return await self.core.nodes.drain(DrainNode(source_node_id=node_id, **more))

    async def progress(self, drain_id: int | None) -> DrainProgress:
        assert drain_id is not None
        return await self.core.moves.one(drain_id)

    async def homes(self) -> dict[int, int]:
        return {p.app_id: p.node_id for p in await self.core.nodes.placements(None, 0, 100)}

    async def releases(self, app_id: int) -> list[int]:
        async with self.core.db.read() as conn:
            return [r.number for r in await self.core.releases.list(conn, app_id, 50)]

    async def silent_for(self, name: str, seconds: int) -> None:
        """The node's last heartbeat was so long ago."""
        node = tables.runtime_node
        async with self.core.db.write() as conn:
            then = await self.core.db.clock(conn) - seconds * 1000
            await conn.execute(update(node).where(node.c.name == name).values(last_heartbeat_ms=then))

    async def drained(self) -> None:
        """The drain time of everything that moved is over."""
        async with self.core.db.write() as conn:
            await conn.execute(update(tables.leftover).values(due_ms=1))

    async def left(self) -> list[tuple[int, int, int, int | None]]:
        """(app, node, ready, generation)"""
        column = tables.leftover.c
        query = select(column.app_id, column.node_id, column.ready, column.generation).order_by(column.app_id, column.node_id)
        async with self.core.db.read() as conn:
            return [(r[0], r[1], r[2], r[3]) for r in await conn.execute(query)]
