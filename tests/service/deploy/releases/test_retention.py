"""Retention on a real registry: what is kept stays pullable byte for byte, also after garbage collection."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.clients.registry.contract import Artifact, RegistryFailed
from funai.base.clients.registry.distribution import Distribution
from funai.base.clients.registry.http import RegistryHttp
from funai.contracts.apps.databases import FindOrphanImages
from funai.contracts.errors import NotFound
from funai.contracts.jobs import JobResult
from funai.deploy.queue.ports import FinishedJob
from funai.deploy.releases.orphans import OrphanImages
from funai.deploy.releases.retention import Registry as Kept
from funai.deploy.releases.retention import Retention
from funai.deploy.releases.store import ReleaseBook
from funai.deploy.tables import app_run, job, release
from tests.parts.registry import Registry
from tests.parts.waiting import eventually
from tests.service.base.clients.registry.pushing import Pusher, digest_of, own_layer
from tests.service.deploy.plane import Plane

_apps = itertools.count(100)
BOOK = ReleaseBook()


@dataclass
class World:
    """An app's deploys, and what became of their images."""

    plane: Plane
    registry: Registry
    retention: Retention
    app_id: int
    jobs: itertools.count[int]

    @property
    def pusher(self) -> Pusher:
        return Pusher(self.registry.address)

    @property
    def repository(self) -> str:
        return f"funaistudio/u1-app{self.app_id}"

    def push(self, content: str) -> str:
        """As the Runner does: under the commit, then ``latest``."""
        return self.pusher.push(self.repository, content, hashlib.sha1(content.encode()).hexdigest(), "latest")

    async def success(self, digest: str | None, *, repository: str | None = None, app_id: int | None = None) -> None:
        image = f"{self.registry.address}/{repository or self.repository}:latest"
        finished = FinishedJob(next(self.jobs), app_id or self.app_id, 1, {}, None, 1)
        async with self.plane.db.write() as conn:
            await BOOK.record(conn, finished, JobResult(image=image, digest=digest), 1)

    async def deploy(self, content: str) -> str:
        digest = self.push(content)
        await self.success(digest)
        return digest

    async def settle(self) -> None:
        """Both passes: retire, then delete."""
        await self.retention.sweep()
        await self.retention.sweep()

    def stored(self, content: str) -> bool:
        """Are the bytes of this image's own layer on the registry's disk?"""
        hexed = digest_of(own_layer(content)).removeprefix("sha256:")
        return (self.registry.storage / "docker/registry/v2/blobs/sha256" / hexed[:2] / hexed / "data").exists()

    def pullable(self, *digests: str) -> list[bool]:
        return [self.pusher.pullable(self.repository, d) for d in digests]


@pytest.fixture
async def world(lite: Plane, registry: Registry) -> AsyncIterator[World]:
    driver = Distribution(RegistryHttp(plain=lambda _: True, trusted=[registry.address], timeout=10).at(registry.address))
    retention = Retention(lite.db, Kept(driver, registry.address, "funaistudio"), grace_ms=0)
    yield World(lite, registry, retention, next(_apps), itertools.count(1))
    await driver.close()


async def test_the_last_three_stay_pullable_and_older_ones_go_with_their_bytes(world: World) -> None:
    digests = [await world.deploy(f"v{i}") for i in range(5)]
    await world.settle()
    assert world.pullable(*digests) == [False, False, True, True, True]
    assert all(world.stored(f"v{i}") for i in range(5))
    world.registry.collect_garbage()
    assert [world.stored(f"v{i}") for i in range(5)] == [False, False, True, True, True]
    assert world.pullable(*digests) == [False, False, True, True, True]
    assert world.pusher.pullable(world.repository, "latest")
    async with world.plane.db.read() as conn:
        assert [r.number for r in await BOOK.list(conn, world.app_id, 50)] == [5, 4, 3]
        with pytest.raises(NotFound):
            await BOOK.load(conn, world.app_id, 2)
    again = await world.deploy("v0")
    assert again == digests[0]
    assert world.pullable(again) == [True]


async def test_a_digest_shared_with_a_kept_release_stays(world: World) -> None:
    first = await world.deploy("one")
    second = await world.deploy("two")
    await world.success(first)
    await world.deploy("three")
    await world.deploy("four")
    await world.settle()
    assert world.pullable(first, second) == [True, False]
    await world.deploy("five")
    await world.settle()
    assert world.pullable(first) == [False]


async def test_what_is_live_stays_however_old(world: World) -> None:
    digests = [await world.deploy(f"live{i}") for i in range(5)]
    async with world.plane.db.write() as conn:
        await conn.execute(update(app_run).values(live_release_number=1))
    await world.settle()
    assert world.pullable(*digests) == [True, False, True, True, True]


async def test_another_apps_kept_release_of_the_image_keeps_it(world: World) -> None:
    digests = [await world.deploy(f"lent{i}") for i in range(5)]
    await world.success(digests[0], app_id=next(_apps))
    await world.settle()
    assert world.pullable(*digests) == [True, False, True, True, True]


async def test_an_index_that_is_kept_keeps_what_it_is_made_of(world: World) -> None:
    parts = [await world.deploy("part0"), await world.deploy("part1")]
    index = world.pusher.push_index(world.repository, parts, "latest")
    await world.success(index)
    later = [await world.deploy("later0"), await world.deploy("later1")]
    await world.settle()
    assert world.pullable(index, *parts, *later) == [True] * 5


async def test_what_failed_deploys_pushed_goes_and_what_people_tagged_stays(world: World) -> None:
    failed = world.pusher.push(world.repository, "failed", "f" * 40)
    theirs = world.pusher.push(world.repository, "theirs", "v1.0")
    for i in range(4):
        await world.deploy(f"n{i}")
    await world.settle()
    assert world.pullable(failed, theirs) == [False, True]


async def test_an_older_runners_release_is_kept_by_its_tag(world: World) -> None:
    digest = world.pusher.push(world.repository, "untold", "latest")
    for _ in range(3):
        await world.success(digest)
    await world.success(None)
    await world.success(None)
    await world.success(None)
    await world.settle()
    assert world.pullable(digest) == [True]


async def test_nothing_goes_while_the_app_has_a_job(world: World) -> None:
    digests = [await world.deploy(f"busy{i}") for i in range(4)]
    await world.retention.sweep()
    await world.plane.job(world.app_id, "PENDING")
    await world.retention.sweep()
    assert world.pullable(*digests) == [True] * 4
    async with world.plane.db.write() as conn:
        await conn.execute(job.delete())
    await world.retention.sweep()
    assert world.pullable(*digests) == [False, True, True, True]


async def test_nothing_goes_that_another_apps_job_is_about_to_run(world: World) -> None:
    digests = [await world.deploy(f"named{i}") for i in range(4)]
    await world.retention.sweep()
    image = f"{world.registry.address}/{world.repository}@{digests[0]}"
    async with world.plane.db.write() as conn:
        row = {"type": "BUILD_AND_DEPLOY", "app_id": 5, "status": "PENDING", "payload_json": f'{{"image":"{image}"}}'}
        await conn.execute(job.insert().values(row))
    await world.retention.sweep()
    assert world.pullable(*digests) == [True] * 4


async def test_a_rollback_asked_for_before_the_retirement_finds_its_image(world: World) -> None:
    """Loaded, then retired, then its job appears: within the grace nothing is deleted, and its success keeps it."""
    digests = [await world.deploy(f"back{i}") for i in range(4)]
    slow = Retention(world.plane.db, world.retention.registry, grace_ms=60_000)
    async with world.plane.db.read() as conn:
        wanted = await BOOK.load(conn, world.app_id, 1)
    await slow.sweep()
    await slow.sweep()
    assert world.pullable(digests[0]) == [True]
    assert wanted.image.endswith(digests[0])
    await world.success(digests[0])
    await world.settle()
    assert world.pullable(*digests) == [True, False, True, True]


async def test_only_the_apps_own_repository_of_this_registry_is_touched(world: World) -> None:
    other = world.pusher.push("funaistudio/base", "shared base", "1.0")
    for _ in range(5):
        await world.success(other, repository="funaistudio/base")
    await world.settle()
    assert world.pusher.pullable("funaistudio/base", other)
    async with world.plane.db.read() as conn:
        removed = (await conn.execute(select(release.c.removed).where(release.c.retired == 1))).scalars().all()
    assert removed == [1, 1]


async def test_a_deleted_apps_images_go_but_for_those_another_app_runs(world: World) -> None:
    digests = [await world.deploy(f"gone{i}") for i in range(3)]
    untagged_by_person = world.pusher.push(world.repository, "custom", "v1.0")
    await world.success(digests[1], app_id=next(_apps))
    told = await world.retention.remove_app(1, world.app_id)
    assert world.pullable(*digests, untagged_by_person) == [False, True, False, False]
    assert told == f"3 manifests deleted from {world.repository}, 1 kept for other apps"
    assert (await world.retention.remove_app(1, world.app_id)).startswith("0 manifests")
    assert world.repository in await world.retention.registry.images.repositories("funaistudio")
    assert await world.retention.registry.images.repositories("funai") == []
    assert (await world.retention.remove_app(1, 999_999)).startswith("0 manifests")


async def test_images_of_a_missing_app_are_orphans_until_nothing_of_them_is_left(world: World) -> None:
    await world.deploy("orphan")
    orphans, there = OrphanImages(world.retention), str(world.app_id + 1)
    found = await orphans.run(FindOrphanImages(existing_app_ids=[there]))
    assert world.repository in found.images
    gone = await orphans.run(FindOrphanImages(existing_app_ids=[there], delete=[world.repository]))
    assert gone.deleted == [world.repository]
    assert world.repository not in (await orphans.run(FindOrphanImages(existing_app_ids=[there]))).images


async def test_a_registry_that_is_away_loses_nothing_and_is_asked_again(world: World) -> None:
    digests = [await world.deploy(f"away{i}") for i in range(4)]
    dead = Distribution(RegistryHttp(plain=lambda _: True, trusted=["127.0.0.1:9"]).at("127.0.0.1:9"))
    away = Retention(world.plane.db, replace(world.retention.registry, images=dead), grace_ms=0)
    await away.sweep()
    await away.sweep()
    assert world.pullable(*digests) == [True] * 4
    with pytest.raises(RegistryFailed):
        await away.remove_app(1, world.app_id)
    await dead.close()
    await world.retention.sweep()
    assert world.pullable(*digests) == [False, True, True, True]


async def test_a_job_that_begins_in_the_middle_ends_the_deleting(world: World) -> None:
    digests = [await world.deploy(f"mid{i}") for i in range(6)]
    real = world.retention.registry.images

    class Slow:
        """A job appears while the first manifest is being deleted."""

        async def artifacts(self, repository: str) -> list[Artifact]:
            return await real.artifacts(repository)

        async def artifact(self, repository: str, digest: str) -> Artifact | None:
            return await real.artifact(repository, digest)

        async def delete(self, repository: str, digest: str) -> bool:
            await world.plane.job(world.app_id, "PENDING")
            return await real.delete(repository, digest)

        async def forget(self, repository: str) -> bool:
            return False

        async def rivals(self, namespace: str) -> list[str]:
            return []

        async def close(self) -> None: ...

    await world.retention.retire(world.app_id)
    begun = Retention(world.plane.db, replace(world.retention.registry, images=Slow()), grace_ms=0)
    assert len(await begun.clear(world.app_id)) == 1
    assert world.pullable(*digests).count(True) == 5
    async with world.plane.db.write() as conn:
        await conn.execute(job.delete())
    await world.retention.sweep()
    assert world.pullable(*digests) == [False, False, False, True, True, True]


async def test_it_runs_in_the_background_and_stops_at_once(world: World) -> None:
    digests = [await world.deploy(f"bg{i}") for i in range(4)]
    stop = asyncio.Event()
    running = asyncio.create_task(world.retention.run(0.05, stop))
    await eventually(lambda: world.pullable(digests[0]) == [False], what="the oldest image is gone")
    stop.set()
    await asyncio.wait_for(running, 60)


async def test_retiring_on_every_database(plane: Plane) -> None:
    """The statements of both passes where the registry has nothing."""

    class Empty:
        keeps_empty = False

        async def repositories(self, namespace: str) -> list[str]:
            return []

        async def artifacts(self, repository: str) -> list[Artifact]:
            return []

        async def artifact(self, repository: str, digest: str) -> Artifact | None:
            return None

        async def delete(self, repository: str, digest: str) -> bool:
            return False

        async def forget(self, repository: str) -> bool:
            return False

        async def rivals(self, namespace: str) -> list[str]:
            return []

        async def close(self) -> None: ...

    retention = Retention(plane.db, Kept(Empty(), "reg.example", "funaistudio"), keep=2, grace_ms=0)

    async def succeed(conn: AsyncConnection, job_id: int) -> None:
        finished = FinishedJob(job_id, 7, 1, {}, None, 1)
        await BOOK.record(
            conn, finished, JobResult(image="reg.example/funaistudio/u1-app7:x", digest=f"sha256:{job_id:064x}"), 1
        )

    async with plane.db.write() as conn:
        for job_id in range(1, 71):
            await succeed(conn, job_id)
    await retention.sweep()
    await retention.sweep()
    async with plane.db.read() as conn:
        assert [r.number for r in await BOOK.list(conn, 7, 50)] == [70, 69]
        rows = (await conn.execute(select(release.c.number, release.c.retired, release.c.removed))).all()
    assert len(rows) == 52
    assert all((r.retired, r.removed) == (1, 1) for r in rows if r.number < 69)
    assert await retention.remove_app(1, 7) == "0 manifests deleted from funaistudio/u1-app7"
