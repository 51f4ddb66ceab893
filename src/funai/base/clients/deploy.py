"""The Deploy control plane as its callers see it: the API, a runner, a runtime-agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import httpx

from funai.base.clients.deploy_apps import AppsAtDeploy
from funai.base.clients.transport import Transport
from funai.contracts import compat
from funai.contracts.apps.domains import DomainRoute, NodeDomains
from funai.contracts.apps.edge import TOKEN_HEADER, GatewayFigures, RouteChanges
from funai.contracts.errors import CalleeFailed, FunaiError
from funai.contracts.jobs import (
    AppendLog,
    ClaimJob,
    CreateJob,
    EventSlice,
    HeartbeatJob,
    Job,
    LogSlice,
    ReportJob,
)
from funai.contracts.nodes import (
    JoinNode,
    LeaveNode,
    NodeHeartbeat,
    NodeHeartbeatAnswer,
    NodeJoined,
    NodeRemoved,
    NodeStanding,
)


class OldIds(Protocol):
    """Remembers which text ids of an older Deploy service stand behind numbers that were made from them."""

    async def learn(self, old_ids: Sequence[str]) -> None: ...

    async def text(self, number: int) -> str | None: ...


class DeployClient(AppsAtDeploy):
    """For the API: jobs, apps, releases. Authenticates with ``X-DEPLOY-SECRET``.

    ``old_ids`` is needed with an older Deploy service: its jobs' ids are texts. Without it those can't be asked for later.
    """

    def __init__(
        self,
        base_url: str,
        secret: str,
        *,
        timeout: float = 8,
        http: httpx.AsyncBaseTransport | None = None,
        connections: int | None = 100,
        old_ids: OldIds | None = None,
    ) -> None:
        self._old_ids = old_ids
        headers = {"X-DEPLOY-SECRET": secret}
        self.transport = Transport("deploy", base_url, headers, timeout=timeout, http=http, connections=connections)

    async def create(self, job: CreateJob) -> Job:
        return await self._job(await self.transport.data("POST", "/deploy/jobs", json=job.to_wire()))

    async def job(self, job_id: int | str) -> Job:
        return await self._job(await self.transport.data("GET", f"/deploy/jobs/{await self._ref(job_id)}"))

    async def job_by_key(self, key: str) -> Job:
        """(+) The job that was created under this idempotency key. Raises NotFound JOB_NOT_FOUND.

        A Deploy without the call answers NotFound or BadInput with another reason.
        """
        return await self._job(await self.transport.data("GET", "/deploy/jobs/by-key", params={"key": key}))

    async def jobs(self, limit: int, *, timeout: float = 1.5) -> list[Job]:
        return await self._jobs(await self.transport.data("GET", "/deploy/jobs", params={"limit": limit}, timeout=timeout))

    async def jobs_by_app(self, app_id: int, limit: int) -> list[Job]:
        return await self._jobs(
            await self.transport.data("GET", "/deploy/jobs/by-app", params={"appId": app_id, "limit": limit})
        )

    async def cancel(self, job_id: int | str) -> Job:
        return await self._job(await self.transport.data("POST", f"/deploy/jobs/{await self._ref(job_id)}/cancel"))

    async def events(self, after: int | None, *, wait: float = 0) -> EventSlice:
        """(+) What happened to jobs after a cursor; ``wait`` seconds (≤ 25) holds the call until something does.

        Without a cursor it answers where the events end now. A Deploy without the call refuses with 404 or 405.
        """
        params = {"waitSeconds": wait} | ({} if after is None else {"after": after})
        return self.transport.read(
            EventSlice, await self.transport.data("GET", "/deploy/events", params=params, timeout=wait + 10)
        )

    async def log(self, job_id: int | str, offset: int, *, wait: float = 0, limit: int = 262_144) -> LogSlice:
        """The log from byte ``offset``; ``wait`` seconds (≤ 25) holds the call until there is more or the job ends."""
        params = {"offset": offset, "waitSeconds": wait, "limit": limit}
        path = f"/deploy/jobs/{await self._ref(job_id)}/logs"
        return self.transport.read(LogSlice, await self.transport.data("GET", path, params=params, timeout=wait + 10))

    async def log_tail(self, job_id: int | str, limit: int) -> LogSlice:
        """The last ``limit`` bytes of the log. A Deploy without this call answers from its beginning."""
        params = {"fromEnd": "true", "limit": limit}
        return self.transport.read(
            LogSlice, await self.transport.data("GET", f"/deploy/jobs/{await self._ref(job_id)}/logs", params=params)
        )

    async def health(self) -> dict[str, object]:
        """``service`` and ``timestamp``, as it says them."""
        return self.transport.record(await self.transport.data("GET", "/internal/health"))

    async def admin(
        self, method: str, path: str, token: str, *, params: Mapping[str, object] | None = None, json: object = None
    ) -> object:
        """One of the operator's calls, ``/admin/…``."""
        return await self.transport.data(method, path, params=params, json=json, headers={"X-Admin-Token": token})

    async def _ref(self, job_id: int | str) -> int | str:
        if isinstance(job_id, int) and compat.stands_for_text(job_id) and self._old_ids:
            return await self._old_ids.text(job_id) or job_id
        return job_id

    async def _job(self, data: object) -> Job:
        (job,) = await self._jobs([data])
        return job

    async def _jobs(self, data: object) -> list[Job]:
        jobs = self.transport.every(Job, data)
        if self._old_ids and (texts := [j.wire_id for j in jobs if isinstance(j.wire_id, str)]):
            await self._old_ids.learn([str(t) for t in texts])
        return jobs

    async def close(self) -> None:
        await self.transport.close()


class UnreadableClaim(CalleeFailed):
    """A claim was answered with a job that this runner can't read: it holds the job, and must give it back."""

    def __init__(self, data: object) -> None:
        super().__init__(service="deploy", detail="the claim's answer is no job that this runner can read")
        job: dict[str, object] = data if isinstance(data, dict) else {}  # pyright: ignore[reportUnknownVariableType]
        number, token = job.get("id"), job.get("leaseToken")
        self.job_id = number if isinstance(number, int | str) and str(number).replace("-", "").isalnum() else None
        self.lease_token = token if isinstance(token, str) and len(token) <= 128 else None


class RunnerDeployClient:
    """For a runner. ``token`` goes as ``X-Runner-Token`` when given."""

    def __init__(
        self, base_url: str, token: str | None, *, timeout: float = 10, http: httpx.AsyncBaseTransport | None = None
    ) -> None:
        headers = {"X-Runner-Token": token} if token else {}
        self.transport = Transport("deploy", base_url, headers, timeout=timeout, http=http)

    async def claim(self, claim: ClaimJob) -> Job | None:
        data = await self.transport.data("POST", "/deploy/jobs/claim", json=claim.to_wire(), timeout=claim.wait_seconds + 10)
        if not data:
            return None
        try:
            return self.transport.read(Job, data)
        except CalleeFailed as e:
            raise UnreadableClaim(data) from e

    async def give_back(self, job_id: int | str, lease_token: str | None, runner_id: str) -> None:
        """Let a claimed job's lease end as soon as the contract allows, so that another runner gets it.

        Older Deploys do the same: it is a heartbeat with the shortest extension. Raises FunaiError.
        """
        heartbeat = HeartbeatJob(runner_id=runner_id, extend_seconds=1, lease_token=lease_token)
        await self.transport.data("POST", f"/deploy/jobs/{job_id}/heartbeat", json=heartbeat.to_wire())

    async def heartbeat(self, job_id: int | str, heartbeat: HeartbeatJob) -> Job:
        return self.transport.read(
            Job, await self.transport.data("POST", f"/deploy/jobs/{job_id}/heartbeat", json=heartbeat.to_wire())
        )

    async def report(self, job_id: int | str, report: ReportJob) -> Job:
        return self.transport.read(
            Job, await self.transport.data("POST", f"/deploy/jobs/{job_id}/report", json=report.to_wire())
        )

    async def append_log(self, job_id: int | str, log: AppendLog) -> int:
        """Append; answers the next expected offset."""
        data = await self.transport.data("POST", f"/deploy/jobs/{job_id}/logs", json=log.to_wire())
        try:
            return int(data["nextOffset"])
        except (KeyError, TypeError, ValueError) as e:
            raise CalleeFailed(service="deploy", detail="nextOffset") from e

    async def close(self) -> None:
        await self.transport.close()


class NodeDeployClient:
    """For a runtime-agent: heartbeats with ``X-RT-Node-Token``."""

    def __init__(self, base_url: str, token: str, *, timeout: float = 10, http: httpx.AsyncBaseTransport | None = None) -> None:
        self.transport = Transport("deploy", base_url, {"X-RT-Node-Token": token}, timeout=timeout, http=http)

    async def heartbeat(self, heartbeat: NodeHeartbeat) -> NodeHeartbeatAnswer | None:
        data = await self.transport.data("POST", "/internal/runtime-nodes/heartbeat", json=heartbeat.to_wire())
        return self.transport.read(NodeHeartbeatAnswer, data) if isinstance(data, dict) and "nodeId" in data else None

    async def domains(self, said: NodeDomains) -> list[DomainRoute] | None:
        """(+) Tell how the node's names are; answers those it shall serve, None when this Deploy has no such call."""
        try:
            rows = await self.transport.data("POST", "/internal/runtime-nodes/domains", json=said.to_wire())
        except FunaiError as e:
            if e.code in (404, 405):
                return None
            raise
        return self.transport.every(DomainRoute, rows)

    async def gateway(self, figures: GatewayFigures) -> bool:
        """(+) Report this node's gateway; False at a Deploy without the call."""
        return await _reported(self.transport, "/internal/runtime-nodes/gateway", figures)

    async def join(self, asked: JoinNode) -> NodeJoined:
        """(+) Trade a join token; the only call without ``X-RT-Node-Token``."""
        data = await self.transport.data("POST", "/internal/runtime-nodes/join", json=asked.to_wire())
        return self.transport.read(NodeJoined, data)

    async def standing(self, name: str) -> NodeStanding:
        """(+) This node as Deploy sees it."""
        return self.transport.read(
            NodeStanding, await self.transport.data("GET", "/internal/runtime-nodes/standing", params={"name": name})
        )

    async def leave(self, asked: LeaveNode) -> NodeRemoved:
        """(+) Be forgotten. Raises Conflict NODE_HAS_APPS, Forbidden CREDENTIAL_NEEDED with the shared secret."""
        return self.transport.read(
            NodeRemoved, await self.transport.data("POST", "/internal/runtime-nodes/leave", json=asked.to_wire())
        )

    async def close(self) -> None:
        await self.transport.close()


class EdgeDeployClient:
    """For an edge: follows routes with ``X-Edge-Token``."""

    def __init__(self, base_url: str, token: str, *, timeout: float = 10, http: httpx.AsyncBaseTransport | None = None) -> None:
        self.transport = Transport("deploy", base_url, {TOKEN_HEADER: token}, timeout=timeout, http=http)

    async def routes(self, since: int, wait: float = 0, *, page: str = "") -> RouteChanges:
        """What changed after revision ``since``; ``wait`` seconds (≤ 25) holds the call until something does."""
        params = {"since": since, "wait": wait} | ({"page": page} if page else {})
        return self.transport.read(
            RouteChanges, await self.transport.data("GET", "/internal/routes", params=params, timeout=wait + 5)
        )

    async def gateway(self, figures: GatewayFigures) -> bool:
        """(+) Report this edge's gateway; False at a Deploy without the call."""
        return await _reported(self.transport, "/internal/gateway/report", figures)

    async def close(self) -> None:
        await self.transport.close()


async def _reported(transport: Transport, path: str, figures: GatewayFigures) -> bool:
    try:
        await transport.data("POST", path, json=figures.to_wire())
    except FunaiError as e:
        if e.code in (404, 405):
            return False
        raise
    return True
