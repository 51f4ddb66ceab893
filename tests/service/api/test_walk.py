"""A random walk: everything a user can do, at once, with a runner that succeeds and fails; then the books are checked."""

from __future__ import annotations

import asyncio
import random

import httpx
from sqlalchemy import select

from funai.api.tables import apps
from funai.contracts.states import AppStatus
from tests.parts.waiting import eventually
from tests.service.api.platform import Person, Platform, Refused

STEPS = 25
FINE = {
    "409 APP_DEPLOYING",
    "409 QUOTA_RUNNING_APPS",
    "409 APP_NEVER_DEPLOYED",
    "409 JOB_FINAL",
    "404 APP_NOT_FOUND",
    "404 JOB_NOT_FOUND",
    "404 RELEASE_NOT_FOUND",
    "409 CONFLICT",
}
DEPLOY = {"X-DEPLOY-SECRET": "deploy-secret"}


async def user(person: Person, app_ids: list[int], dice: random.Random) -> None:
    for _ in range(STEPS):
        app_id = dice.choice(app_ids)
        at = {"params": {"appId": app_id}}
        try:
            match dice.randrange(8):
                case 0 | 1 | 2:
                    await person.deploy(app_id)
                case 3:
                    await person.call("POST", "/deploy/app/stop", **at)
                case 4:
                    await person.call("POST", "/deploy/app/start", **at)
                case 5:
                    await person.call("POST", "/deploy/app/rollback", **at)
                case 6:
                    job = (await person.call("GET", "/app/info", **at))["lastJobId"]
                    await person.call("POST", "/deploy/job/cancel", params={"jobId": job or 10**9})
                case _:
                    await person.call("GET", "/deploy/app/list")
        except Refused as e:
            if str(e) not in FINE:
                raise
        held = [a for a in await person.call("GET", "/app/list") if a["appStatus"] in (2, 3)]
        assert len(held) <= 3, held


async def runner(platform: Platform, dice: random.Random) -> None:
    """Claims and ends jobs until it is cancelled."""
    while True:
        answer = await platform.inside.post("/deploy/jobs/claim", json={"runnerId": "r1", "leaseSeconds": 60, "waitSeconds": 1})
        job = answer.json()["data"]
        if job is None:
            continue
        status = dice.choice(["SUCCEEDED", "SUCCEEDED", "FAILED"])
        app = str(job["payload"]["appId"])
        body = {"runnerId": "r1", "status": status, "leaseToken": job["leaseToken"]}
        if status == "SUCCEEDED":
            body |= {"result": {"image": "registry.test:5000/x", "digest": "sha256:" + "a" * 64, "containerPort": 3000}}
        else:
            body |= {"errorMessage": "boom", "failure": {"code": "BUILD_FAILED", "blame": "user"}}
        done: httpx.Response = await platform.inside.post(f"/deploy/jobs/{job['id']}/report", json=body)
        assert done.status_code in (200, 404, 409), done.text
        if done.status_code == 200 and status == "SUCCEEDED":
            platform.node.running.add(app)


async def test_the_books_balance_whatever_happens(platform_on: Platform) -> None:
    dice = random.Random(1)
    ada = await platform_on.person("ada")
    app_ids = [await ada.app() for _ in range(6)]
    works = asyncio.create_task(runner(platform_on, dice))
    try:
        await asyncio.gather(*(user(ada, app_ids, random.Random(n)) for n in range(3)))

        async def quiet() -> bool:
            return all(r.op is None for r in await platform_on.core.apps.rows(ada.id))

        await eventually(quiet, seconds=20)
    finally:
        works.cancel()
        await asyncio.gather(works, return_exceptions=True)

    async with platform_on.core.db.read() as conn:
        rows = [dict(r) for r in (await conn.execute(select(apps))).mappings()]
    assert sum(r["slot"] for r in rows) <= 3
    for row in rows:
        status = AppStatus(row["status"])
        assert bool(row["slot"]) == bool(row["serving"]), row
        assert (status is AppStatus.READY) <= bool(row["serving"]), row
        assert bool(row["serving"]) <= (status in (AppStatus.READY, AppStatus.FAILED)), row
        jobs = await platform_on.inside.get("/deploy/jobs/by-app", params={"appId": row["id"], "limit": 20}, headers=DEPLOY)
        assert all(j["status"] in ("SUCCEEDED", "FAILED", "CANCELLED") for j in jobs.json()["data"]), row
