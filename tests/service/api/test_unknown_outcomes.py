"""Requests whose outcome isn't known, and those that are asked for again: one job, one place, whatever is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import update

from funai.api.apps.slots import Operation
from funai.api.deploys.idempotency import remember
from funai.api.tables import apps
from tests.parts.waiting import eventually
from tests.service.api.platform import Platform, Refused


async def test_deploy_away_takes_no_slot(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    platform.wire.cut = 1
    platform.wire.only = "/deploy/jobs"
    assert await ada.refused("POST", "/deploy/job/create", params={"appId": app_id}) == "502 DEPLOY_UNREACHABLE"
    row = await platform.core.apps.find(app_id)
    assert (row.status, row.slot) == (0, 0)


async def test_a_lost_answer_is_asked_for_again_and_makes_one_job(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    platform.wire.lose, platform.wire.only = 1, "/deploy/jobs"
    job = await ada.deploy(app_id)
    assert [j["id"] for j in await ada.call("GET", "/deploy/job/history", params={"appId": app_id})] == [job["id"]]


async def test_an_unknown_outcome_keeps_the_slot_until_it_is_known(tmp_path: Any) -> None:
    async with Platform(tmp_path, deploy_read_timeout_ms=100).running() as platform:
        ada = await platform.person("ada")
        app_id = await ada.app()
        platform.wire.lose, platform.wire.only = 3, "/deploy/jobs"
        key = {"Idempotency-Key": "k"}
        assert (
            await ada.refused("POST", "/deploy/job/create", params={"appId": app_id}, headers=key) == "502 DEPLOY_UNREACHABLE"
        )
        assert (await platform.core.apps.find(app_id)).slot == 1

        async def found() -> Any:
            return (await platform.core.apps.find(app_id)).op_job_id

        job_id = await eventually(found, seconds=5)
        assert (await ada.deploy(app_id, headers=key))["id"] == job_id
        await platform.finish()
        assert await ada.status(app_id) == 3


async def test_a_503_after_the_commit_is_asked_for_again_and_makes_one_job(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    platform.wire.fail, platform.wire.only = 2, "/deploy/jobs"
    job = await ada.deploy(app_id)
    assert [j["id"] for j in await ada.call("GET", "/deploy/job/history", params={"appId": app_id})] == [job["id"]]
    assert "requestId" not in (await platform.claim())["payload"]


async def test_a_503_of_every_try_keeps_the_slot_while_the_job_runs(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    platform.wire.fail, platform.wire.only = 3, "/deploy/jobs"
    assert await ada.refused("POST", "/deploy/job/create", params={"appId": app_id}) == "503 UNAVAILABLE"
    row = await platform.core.apps.find(app_id)
    assert (row.status, row.slot) == (2, 1)
    job = await platform.core.tracker.job_of(row)
    assert job is not None and job.payload["appId"] == app_id


@pytest.mark.parametrize("fault", ["cut", "lose", "fail"])
async def test_the_same_key_after_a_lost_answer_goes_on_with_the_first_request(platform: Platform, fault: str) -> None:
    """The API died, or Deploy was away, before anybody knew what became of the request."""
    ada = await platform.person("ada")
    app_id = await ada.app()
    record = remember("k", {"call": "create", "appId": app_id, "asked": {}})
    await platform.core.deploys.slots.take(ada.id, app_id, Operation.DEPLOY, "op-1", record)
    await ada.call("PUT", "/app/env", params={"appId": app_id}, json={"A": "changed meanwhile"})
    setattr(platform.wire, fault, 2)
    platform.wire.only = "/deploy/jobs"
    job = await ada.deploy(app_id, headers={"Idempotency-Key": "k"})
    assert await ada.deploy(app_id, headers={"Idempotency-Key": "k"}) == job
    assert [j["id"] for j in await ada.call("GET", "/deploy/job/history", params={"appId": app_id})] == [job["id"]]
    await platform.finish()
    assert await ada.status(app_id) == 3


async def test_a_request_whose_key_is_asked_for_again_is_not_given_back(platform: Platform) -> None:
    ada, slots = await platform.person("ada"), platform.core.deploys.slots
    app_id = await ada.app()
    await slots.take(ada.id, app_id, Operation.DEPLOY, "op-1")
    row = await platform.core.apps.find(app_id)
    async with platform.core.db.write() as conn:
        await conn.execute(update(apps).where(apps.c.id == app_id).values(op_since=row.op_since - 1))
    assert await slots.renew(app_id, "op-1")
    assert not await slots.give_back(app_id, "op-1", since=row.op_since - 1)
    assert await slots.give_back(app_id, "op-1")


async def test_a_request_that_never_arrived_is_undone(tmp_path: Any) -> None:
    async with Platform(tmp_path, deploy_read_timeout_ms=100).running() as platform:
        platform.core.tracker.grace_ms = 0
        ada = await platform.person("ada")
        app_id = await ada.app()
        # The API dies between taking the slot and asking Deploy.
        await platform.core.deploys.slots.take(ada.id, app_id, Operation.DEPLOY, "op-1")

        async def undone() -> bool:
            return (await platform.core.apps.find(app_id)).slot == 0

        await eventually(undone, seconds=5)
        assert await ada.status(app_id) == 0


async def test_a_job_the_api_forgot_is_adopted(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": ada.id, "appId": app_id, "image": "x/y:1"}}
    await platform.inside.post("/deploy/jobs", json=body, headers={"X-DEPLOY-SECRET": "deploy-secret"})
    key = {"Idempotency-Key": "k"}
    at = {"params": {"appId": app_id}, "headers": key}
    assert await ada.refused("POST", "/deploy/job/create", **at) == "409 APP_DEPLOYING"
    assert await ada.status(app_id) == 2
    await platform.finish()
    assert await ada.status(app_id) == 3
    assert (await ada.deploy(app_id, headers=key))["status"] == "PENDING"


async def test_the_same_key_gets_the_same_job(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    key = {"Idempotency-Key": "once"}
    first = await ada.deploy(app_id, headers=key)
    assert await ada.deploy(app_id, headers=key) == first
    await platform.finish()
    assert await ada.deploy(app_id, headers=key) == first
    different = {"params": {"appId": app_id}, "json": {"gitRef": "dev"}, "headers": key}
    assert await ada.refused("POST", "/deploy/job/create", **different) == "409 IDEMPOTENCY_MISMATCH"
    bad = {"params": {"appId": app_id}, "headers": {"Idempotency-Key": "x" * 201}}
    assert await ada.refused("POST", "/deploy/job/create", **bad) == "400 IDEMPOTENCY_KEY_INVALID"


async def test_a_key_of_a_refused_request_is_free_again(platform: Platform) -> None:
    ada = await platform.person("ada")
    app_id = await ada.app()
    platform.wire.cut, platform.wire.only = 1, "/deploy/jobs"
    key = {"Idempotency-Key": "again"}
    with pytest.raises(Refused):
        await ada.deploy(app_id, headers=key)
    assert (await ada.deploy(app_id, headers=key))["status"] == "PENDING"


async def test_racing_requests_with_one_key_make_one_job(platform_on: Platform) -> None:
    ada = await platform_on.person("ada")
    app_id = await ada.app()
    jobs = await asyncio.gather(*(ada.deploy(app_id, headers={"Idempotency-Key": "k"}) for _ in range(8)))
    assert len({j["id"] for j in jobs}) == 1
