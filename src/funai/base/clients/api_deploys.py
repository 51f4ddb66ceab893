"""The API's calls about deploys: jobs and releases."""

from __future__ import annotations

from typing import Any

from funai.base.clients.api_calls import BASE, Calls, owned
from funai.contracts.accounts import CreateDeploy
from funai.contracts.errors import BadInput
from funai.contracts.jobs import BuildRules, Job, Release, ReleaseComparison
from funai.contracts.reasons import Reason


class DeployCalls(Calls):
    async def deploy(self, user_id: int, app_id: int, wishes: CreateDeploy, *, idempotency_key: str | None = None) -> Job:
        if idempotency_key is not None and not (idempotency_key.isascii() and idempotency_key.isprintable()):
            raise BadInput(Reason.IDEMPOTENCY_KEY_INVALID)  # as the API says; a header couldn't even carry it there
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else None
        return Job.model_validate(
            await self.transport.data(
                "POST", f"{BASE}/deploy/job/create", params=owned(user_id, app_id), json=wishes.to_wire(), headers=headers
            )
        )

    async def build_rules(self, user_id: int | None, app_id: int | None) -> BuildRules:
        params = {k: v for k, v in {"userId": user_id, "appId": app_id}.items() if v is not None}
        return BuildRules.model_validate(await self.transport.data("GET", f"{BASE}/deploy/build/rules", params=params))

    async def job(self, job_id: int) -> Job:
        return Job.model_validate(await self.transport.data("GET", f"{BASE}/deploy/job/info", params={"jobId": job_id}))

    async def jobs(self, limit: int) -> list[Job]:
        return _jobs(await self.transport.data("GET", f"{BASE}/deploy/job/list", params={"limit": limit}))

    async def history(self, user_id: int, app_id: int, limit: int) -> list[Job]:
        params = {**owned(user_id, app_id), "limit": limit}
        return _jobs(await self.transport.data("GET", f"{BASE}/deploy/job/history", params=params))

    async def cancel(self, job_id: int) -> Job:
        return Job.model_validate(await self.transport.data("POST", f"{BASE}/deploy/job/cancel", params={"jobId": job_id}))

    async def rollback(self, user_id: int, app_id: int, release: int | None) -> Job:
        """Run a release again; without a number the one before the live one."""
        params = {**owned(user_id, app_id), "release": release}
        return Job.model_validate(await self.transport.data("POST", f"{BASE}/deploy/app/rollback", params=params))

    async def releases(self, user_id: int, app_id: int) -> list[Release]:
        rows = await self.transport.data("GET", f"{BASE}/deploy/app/releases", params=owned(user_id, app_id))
        return [Release.model_validate(r) for r in rows]

    async def compare_releases(self, user_id: int, app_id: int, old: int, new: int) -> ReleaseComparison:
        """What two releases differ in. Raises NotFound RELEASE_NOT_FOUND."""
        params = {**owned(user_id, app_id), "old": old, "new": new}
        return ReleaseComparison.model_validate(
            await self.transport.data("GET", f"{BASE}/deploy/app/releases/compare", params=params)
        )


def _jobs(data: Any) -> list[Job]:
    return [Job.model_validate(j) for j in data]
