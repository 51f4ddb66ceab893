"""The Deploy control plane as its callers see it: the API, a runner, a runtime-agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from funai.base.clients.transport import Transport
from funai.contracts.domains import AddDomain, Domain, DomainRoute, DomainTarget, NodeDomains
from funai.contracts.errors import CalleeFailed, FunaiError
from funai.contracts.jobs import AppendLog, ClaimJob, CreateJob, HeartbeatJob, Job, LogSlice, Release, ReportJob
from funai.contracts.nodes import AppOverview, AppsQuestion, NodeHeartbeat, NodeHeartbeatAnswer

T = TypeVar("T", bound=BaseModel)


class DeployClient:
    """For the API: jobs, apps, releases. Authenticates with ``X-DEPLOY-SECRET``."""

    def __init__(
        self,
        base_url: str,
        secret: str,
        *,
        timeout: float = 8,
        http: httpx.AsyncBaseTransport | None = None,
        connections: int | None = 100,
    ) -> None:
        headers = {"X-DEPLOY-SECRET": secret}
        self.transport = Transport("deploy", base_url, headers, timeout=timeout, http=http, connections=connections)

    async def create(self, job: CreateJob) -> Job:
        return _read(Job, await self.transport.data("POST", "/deploy/jobs", json=job.to_wire()))

    async def job(self, job_id: int) -> Job:
        return _read(Job, await self.transport.data("GET", f"/deploy/jobs/{job_id}"))

    async def job_by_key(self, key: str) -> Job:
        """(+) The job that was created under this idempotency key. Raises NotFound JOB_NOT_FOUND.

        A Deploy without the call answers NotFound or BadInput with another reason.
        """
        return _read(Job, await self.transport.data("GET", "/deploy/jobs/by-key", params={"key": key}))

    async def jobs(self, limit: int, *, timeout: float = 1.5) -> list[Job]:
        return _jobs(await self.transport.data("GET", "/deploy/jobs", params={"limit": limit}, timeout=timeout))

    async def jobs_by_app(self, app_id: int, limit: int) -> list[Job]:
        return _jobs(await self.transport.data("GET", "/deploy/jobs/by-app", params={"appId": app_id, "limit": limit}))

    async def cancel(self, job_id: int) -> Job:
        return _read(Job, await self.transport.data("POST", f"/deploy/jobs/{job_id}/cancel"))

    async def log(self, job_id: int, offset: int, *, wait: float = 0, limit: int = 262_144) -> LogSlice:
        """The log from byte ``offset``; ``wait`` seconds (≤ 25) holds the call until there is more or the job ends."""
        params = {"offset": offset, "waitSeconds": wait, "limit": limit}
        return _read(
            LogSlice, await self.transport.data("GET", f"/deploy/jobs/{job_id}/logs", params=params, timeout=wait + 10)
        )

    async def log_tail(self, job_id: int, limit: int) -> LogSlice:
        """The last ``limit`` bytes of the log. A Deploy without this call answers from its beginning."""
        params = {"fromEnd": "true", "limit": limit}
        return _read(LogSlice, await self.transport.data("GET", f"/deploy/jobs/{job_id}/logs", params=params))

    async def releases(self, app_id: int, limit: int = 50) -> list[Release]:
        rows = await self.transport.data("GET", f"/deploy/apps/{app_id}/releases", params={"limit": limit})
        return _all(Release, rows)

    async def app_call(self, verb: str, user_id: int, app_id: int, *, timeout: float = 60) -> dict[str, Any]:
        """``POST /deploy/apps/{verb}`` with verb stop, start, purge or cleanup; answers its report."""
        body = {"userId": user_id, "appId": app_id}
        return _object(await self.transport.data("POST", f"/deploy/apps/{verb}", json=body, timeout=timeout) or {})

    async def app_status(self, user_id: int, app_id: int) -> dict[str, Any]:
        """The agent's status of the app, or ``exists: false`` when it was never placed."""
        params = {"userId": user_id, "appId": app_id}
        return _object(await self.transport.data("GET", "/deploy/apps/status", params=params))

    async def overview(self, app_ids: Sequence[int], *, timeout: float | None = None) -> list[AppOverview] | None:
        """(+) What Deploy knows of these apps (at most 200), those that were ever deployed; None when it has no such call."""
        body = AppsQuestion(app_ids=list(app_ids)).to_wire()
        try:
            rows = await self.transport.data("POST", "/deploy/apps/overview", json=body, timeout=timeout)
        except FunaiError as e:
            if e.code in (404, 405):
                return None
            raise
        return _all(AppOverview, rows or [])

    async def domains(self, app_id: int) -> list[Domain]:
        """(+) An app's own domains. Raises NotFound at a Deploy without them."""
        return _all(Domain, await self.transport.data("GET", "/deploy/domains", params={"appId": app_id}))

    async def add_domain(self, asked: AddDomain) -> Domain:
        return _read(Domain, await self.transport.data("POST", "/deploy/domains", json=asked.to_wire()))

    async def remove_domain(self, target: DomainTarget) -> None:
        await self.transport.data("POST", "/deploy/domains/remove", json=target.to_wire())

    async def check_domain(self, target: DomainTarget) -> Domain:
        """Have it looked at again soon."""
        return _read(Domain, await self.transport.data("POST", "/deploy/domains/check", json=target.to_wire()))

    async def admin(
        self, method: str, path: str, token: str, *, params: Mapping[str, Any] | None = None, json: Any = None
    ) -> Any:
        """One of the operator's calls, ``/admin/…``."""
        return await self.transport.data(method, path, params=params, json=json, headers={"X-Admin-Token": token})

    async def close(self) -> None:
        await self.transport.close()


class UnreadableClaim(CalleeFailed):
    """A claim was answered with a job that this runner can't read: it holds the job, and must give it back."""

    def __init__(self, data: Any) -> None:
        super().__init__(service="deploy", detail="the claim's answer is no job that this runner can read")
        job: dict[str, Any] = data if isinstance(data, dict) else {}  # pyright: ignore[reportUnknownVariableType]
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
            return _read(Job, data)
        except CalleeFailed as e:
            raise UnreadableClaim(data) from e

    async def give_back(self, claim: UnreadableClaim, runner_id: str) -> None:
        """Let a claimed job's lease end as soon as the contract allows, so that it is given to somebody else.

        Older Deploys do the same: it is a heartbeat with the shortest extension. Raises FunaiError.
        """
        if claim.job_id is not None:
            beat = HeartbeatJob(runner_id=runner_id, extend_seconds=1, lease_token=claim.lease_token)
            await self.transport.data("POST", f"/deploy/jobs/{claim.job_id}/heartbeat", json=beat.to_wire())

    async def heartbeat(self, job_id: int, beat: HeartbeatJob) -> Job:
        return _read(Job, await self.transport.data("POST", f"/deploy/jobs/{job_id}/heartbeat", json=beat.to_wire()))

    async def report(self, job_id: int, report: ReportJob) -> Job:
        return _read(Job, await self.transport.data("POST", f"/deploy/jobs/{job_id}/report", json=report.to_wire()))

    async def append_log(self, job_id: int, log: AppendLog) -> int:
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

    async def heartbeat(self, beat: NodeHeartbeat) -> NodeHeartbeatAnswer | None:
        data = await self.transport.data("POST", "/internal/runtime-nodes/heartbeat", json=beat.to_wire())
        return _read(NodeHeartbeatAnswer, data) if isinstance(data, dict) and "nodeId" in data else None

    async def domains(self, said: NodeDomains) -> list[DomainRoute] | None:
        """(+) Tell how the node's names are; answers those it shall serve, None when this Deploy has no such call."""
        try:
            rows = await self.transport.data("POST", "/internal/runtime-nodes/domains", json=said.to_wire())
        except FunaiError as e:
            if e.code in (404, 405):
                return None
            raise
        return _all(DomainRoute, rows)

    async def close(self) -> None:
        await self.transport.close()


def _read(model: type[T], data: Any) -> T:
    """An answer as a value; one of another shape is the callee's failure, which callers outlive. Raises CalleeFailed."""
    try:
        return model.model_validate(data)
    except ValidationError as e:
        raise CalleeFailed(service="deploy", detail=f"{model.__name__}: {e.errors()[0]['loc']}") from e


def _jobs(data: Any) -> list[Job]:
    return _all(Job, data)


def _all(model: type[T], rows: Any) -> list[T]:
    if not isinstance(rows, list):
        raise CalleeFailed(service="deploy", detail=f"{model.__name__}: not a list")
    return [_read(model, row) for row in rows]  # pyright: ignore[reportUnknownVariableType]


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise CalleeFailed(service="deploy", detail="not an object")
    return data  # pyright: ignore[reportUnknownVariableType]
