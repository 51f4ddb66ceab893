"""One number for a release: what its build and app are told, and what the list of releases shows."""

from __future__ import annotations

from funai.contracts.apps.buildspec import AppSpec
from funai.contracts.jobs import ClaimJob, JobResult, Payload, ReportJob
from funai.contracts.states import JobStatus
from funai.runner import variables
from tests.service.deploy.queue.kit import Deploy, deploying


async def deployed(deploy: Deploy, status: JobStatus) -> str:
    """Runs one deploy of app 7 to this end; answers the FUNAI_RELEASE of its build and app."""
    await deploy.create(7)
    job = await deploy.runner.claim(ClaimJob(runner_id="r1"))
    assert job is not None
    payload = Payload.model_validate(job.payload)
    result = JobResult(image="reg.example/u1-app7:latest", digest=f"sha256:{'a' * 64}")
    said = ReportJob(runner_id="r1", status=status, lease_token=job.lease_token, result=result)
    await deploy.runner.report(job.wire_id, said)
    return variables.told(job, payload, AppSpec(), None)["FUNAI_RELEASE"]


async def test_release_is_told_by_the_number_that_releases_lists(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        await deploy.node()
        told = [await deployed(deploy, status) for status in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.SUCCEEDED)]
        listed = await deploy.api.releases(7)
    assert told == ["1", "2", "2"]
    assert [release.number for release in listed] == [2, 1]
