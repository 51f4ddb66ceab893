"""Runners' and nodes' own credentials, in real databases, beside the shared secrets."""

from __future__ import annotations

import pytest

from funai.contracts.errors import ConfigError, Forbidden, Unauthenticated
from funai.contracts.jobs import AppendLog, ClaimJob, HeartbeatJob, ReportJob
from funai.contracts.nodes import NodeHeartbeat
from funai.contracts.states import JobStatus
from funai.deploy.settings import DeploySettings
from tests.service.deploy.queue.kit import ADMIN, Deploy, deploying, settings


async def made(deploy: Deploy, kind: str, name: str) -> tuple[int, str]:
    answer = await deploy.api.admin("POST", "/admin/credentials/create", ADMIN, json={"kind": kind, "name": name})
    return answer["id"], answer["token"]


async def test_credential_opens_its_kinds_door_alone_until_it_is_revoked(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        number, token = await made(deploy, "runner", "r1")
        _, other = await made(deploy, "node", "n1")
        runner, node = deploy.runner, deploy.nodes
        shared = runner.transport.raw.headers["X-Runner-Token"]
        for given in (shared, token):
            runner.transport.raw.headers["X-Runner-Token"] = given
            assert await runner.claim(ClaimJob(runner_id="r1")) is None
        for given in (other, "fdc_nothing", "", "fdc_"):
            runner.transport.raw.headers["X-Runner-Token"] = given
            with pytest.raises(Unauthenticated):
                await runner.claim(ClaimJob(runner_id="r1"))
        node.transport.raw.headers["X-RT-Node-Token"] = other
        assert await node.heartbeat(NodeHeartbeat(node_name="n1")) is not None
        listed = await deploy.api.admin("GET", "/admin/credentials/list", ADMIN)
        assert [(c["kind"], c["name"]) for c in listed] == [("runner", "r1"), ("node", "n1")]
        assert token not in str(listed)
        await deploy.api.admin("POST", "/admin/credentials/revoke", ADMIN, params={"id": number})
        runner.transport.raw.headers["X-Runner-Token"] = token
        with pytest.raises(Unauthenticated):
            await runner.claim(ClaimJob(runner_id="r1"))
        assert await node.heartbeat(NodeHeartbeat(node_name="n1")) is not None


async def test_credential_speaks_for_the_runner_or_node_it_was_made_for_alone(database_url: str) -> None:
    async with deploying(database_url) as deploy:
        await deploy.node()
        runner, node, job_id = deploy.runner, deploy.nodes, await deploy.create(7)
        runner.transport.raw.headers["X-Runner-Token"] = (await made(deploy, "runner", "r1"))[1]
        node.transport.raw.headers["X-RT-Node-Token"] = (await made(deploy, "node", "n1"))[1]
        as_other = [
            lambda: runner.claim(ClaimJob(runner_id="r2")),
            lambda: runner.heartbeat(job_id, HeartbeatJob(runner_id="r2", extend_seconds=9)),
            lambda: runner.report(job_id, ReportJob(runner_id="r2", status=JobStatus.SUCCEEDED)),
            lambda: runner.append_log(job_id, AppendLog(runner_id="r2", offset=0, chunk="x")),
            lambda: node.heartbeat(NodeHeartbeat(node_name="n2")),
        ]
        for call in as_other:
            with pytest.raises(Forbidden) as caught:
                await call()
            assert caught.value.reason == "CREDENTIAL_OF_ANOTHER"
        job = await runner.claim(ClaimJob(runner_id="r1"))
        assert job is not None
        assert job.id == job_id


def test_check_runner_guard_wants_a_secret_or_an_opening_by_name(sqlite_url: str) -> None:
    with pytest.raises(ConfigError, match=r"deploy\.runner-auth\.enabled=false"):
        settings(sqlite_url, runner_token=None).check_runner_guard()
    opened = settings(sqlite_url, runner_token=None, runner_auth_enabled=False)
    opened.check_runner_guard()
    assert opened.runner_guard is None
    named: DeploySettings = settings(sqlite_url, runner_token=None, runner_secret="s3cret")
    named.check_runner_guard()
    assert named.runner_guard is not None
