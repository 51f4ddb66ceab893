"""Retention where the registry is a Harbor with rules of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert

from funai.base.clients.registry.harbor import Harbor
from funai.base.clients.registry.http import Login, RegistryHttp
from funai.base.db.engine import Database
from funai.contracts.apps.databases import FindOrphanImages
from funai.contracts.errors import Conflict
from funai.contracts.jobs import JobResult
from funai.deploy.main import upgrade
from funai.deploy.queue.ports import FinishedJob
from funai.deploy.releases.orphans import OrphanImages
from funai.deploy.releases.retention import Registry, Retention
from funai.deploy.releases.store import ReleaseBook
from funai.deploy.tables import job
from tests.parts.harbor import PASSWORD, ScriptedHarbor

REPO = "funaistudio/u1-app7"
DIGESTS = [f"sha256:{number:064x}" for number in range(1, 4)]


@pytest.fixture
async def harbor() -> AsyncIterator[ScriptedHarbor]:
    scripted = ScriptedHarbor()
    scripted.projects["funaistudio"] = {}
    scripted.artifacts[REPO] = {digest: {"digest": digest} for digest in DIGESTS}
    yield scripted
    assert scripted.transport.faults == []


@pytest.fixture
async def retention(harbor: ScriptedHarbor, sqlite_url: str) -> AsyncIterator[Retention]:
    """Three releases of app 7, of which one is kept."""
    db = Database(sqlite_url)
    await upgrade(db)
    async with db.write() as conn:
        for number, digest in enumerate(DIGESTS, 1):
            done = FinishedJob(number, 7, 1, {}, None, 1)
            await ReleaseBook().record(conn, done, JobResult(image=f"reg.example/{REPO}:latest", digest=digest), 1)
    login = {"reg.example": Login("robot$cleanup", PASSWORD)}
    http = RegistryHttp(login, plain=lambda _: False, http=harbor.transport).at("reg.example")
    made = Retention(db, Registry(Harbor(http), "reg.example", "funaistudio"), keep=1, grace_ms=0)
    yield made
    await made.registry.images.close()
    await db.close()


async def test_immutable_image_stays_and_keeps_no_other_from_going(harbor: ScriptedHarbor, retention: Retention) -> None:
    harbor.immutable = {DIGESTS[0]}
    for _ in range(3):
        await retention.sweep()
    assert set(harbor.artifacts[REPO]) == {DIGESTS[0], DIGESTS[2]}
    deletes = [asked for asked in harbor.transport.asked if asked.startswith("DELETE")]
    assert len(deletes) == 2, "what a rule keeps is not asked for again and again"
    assert await retention.remove_app(1, 7) == f"1 manifests deleted from {REPO}"
    assert set(harbor.artifacts[REPO]) == {DIGESTS[0]}


async def test_deleted_apps_empty_repository_goes_too(harbor: ScriptedHarbor, retention: Retention) -> None:
    assert await retention.remove_app(1, 7) == f"3 manifests deleted from {REPO}"
    assert harbor.artifacts == {}
    assert await retention.remove_app(1, 7) == f"0 manifests deleted from {REPO}"


async def test_policy_that_takes_needed_images_is_a_problem_of_deploys(harbor: ScriptedHarbor, retention: Retention) -> None:
    rule = {"template": "nDaysSinceLastPush", "params": {"nDaysSinceLastPush": 30}}
    harbor.policy = {"id": 1, "rules": [rule], "scope": {"level": "project", "ref": 3}}
    await retention.sweep()
    (problem,) = retention.problems
    assert "nDaysSinceLastPush(30)" in problem["en"]
    assert "funai harbor setup --retention off" in problem["zh"]


async def test_policy_that_the_robot_may_not_read_is_no_problem(harbor: ScriptedHarbor, retention: Retention) -> None:
    harbor.password = "changed"
    await retention.sweep()
    assert retention.problems == []


async def test_images_of_a_missing_app_are_orphans_and_go_when_named(harbor: ScriptedHarbor, retention: Retention) -> None:
    harbor.artifacts |= {"funaistudio/u1-app8": {}, "funaistudio/base-node": {"sha256:b": {"digest": "sha256:b"}}}
    orphans = OrphanImages(retention)
    found = await orphans.run(FindOrphanImages(existing_app_ids=["9"]))
    assert (found.images, found.deleted) == ([REPO, "funaistudio/u1-app8"], [])
    there = FindOrphanImages(existing_app_ids=["7"], delete=[REPO, "funaistudio/u1-app8", "funaistudio/base-node"])
    assert (await orphans.run(there)).deleted == ["funaistudio/u1-app8"], "an app that is there keeps its images"
    gone = await orphans.run(FindOrphanImages(existing_app_ids=["9"], delete=[REPO]))
    assert gone.deleted == [REPO]
    assert set(harbor.artifacts) == {"funaistudio/base-node"}


async def test_images_of_an_app_with_an_active_job_are_no_orphans(retention: Retention) -> None:
    async with retention.db.write() as conn:
        values = {"type": "BUILD_AND_DEPLOY", "status": "RUNNING", "app_id": 7, "payload_json": "{}", "created_ms": 1}
        await conn.execute(insert(job).values(**values, updated_ms=1))
    assert (await OrphanImages(retention).run(FindOrphanImages(existing_app_ids=["9"]))).images == []


async def test_orphan_images_with_an_empty_list_of_apps_are_refused(retention: Retention) -> None:
    with pytest.raises(Conflict, match="the list of apps is empty"):
        await OrphanImages(retention).run(FindOrphanImages(existing_app_ids=[]))


async def test_registry_that_refuses_the_list_is_said_and_nothing_goes(harbor: ScriptedHarbor, retention: Retention) -> None:
    harbor.password = "changed"
    found = await OrphanImages(retention).run(FindOrphanImages(existing_app_ids=["9"], delete=[REPO]))
    assert (found.images, found.deleted, len(found.failed)) == ([], [], 1)
    assert REPO in harbor.artifacts
