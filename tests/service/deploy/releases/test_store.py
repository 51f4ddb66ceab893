"""Releases in real databases: what a success writes, what can be gone back to."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from funai.contracts.errors import NotFound
from funai.contracts.jobs import JobResult, Release
from funai.deploy.queue.ports import FinishedJob, StoredRelease
from funai.deploy.releases.store import ReleaseBook
from funai.deploy.tables import app_run
from tests.service.deploy.plane import Plane

BOOK = ReleaseBook()
A, B = (f"sha256:{c * 64}" for c in "ab")
REPO = "reg.example:5000/funaistudio/u1-app7"


def finished(job_id: int, app_id: int = 7, node_id: int | None = 1, **payload: Any) -> FinishedJob:
    return FinishedJob(job_id, app_id, 1, {"gitRef": "main", "basePath": f"/runtime/{app_id}", **payload}, "sealed", node_id)


async def record(plane: Plane, job: FinishedJob, **result: Any) -> None:
    async with plane.db.write() as conn:
        await BOOK.record(conn, job, JobResult.model_validate(result), await _now(plane, conn))


async def _now(plane: Plane, conn: Any) -> int:
    return int((await conn.execute(select(plane.db.now_ms()))).scalar_one())


async def listed(plane: Plane, app_id: int = 7) -> list[Release]:
    async with plane.db.read() as conn:
        return await BOOK.list(conn, app_id, 50)


async def load(plane: Plane, number: int, app_id: int = 7) -> StoredRelease:
    async with plane.db.read() as conn:
        return await BOOK.load(conn, app_id, number)


async def test_a_success_is_a_release(plane: Plane) -> None:
    await record(
        plane, finished(11), image=f"{REPO}:latest", digest=A, gitSha="c" * 40, containerPort=8080, healthPath="/health"
    )
    (only,) = await listed(plane)
    assert (only.number, only.job_id, only.image, only.digest, only.live) == (1, 11, f"{REPO}:latest", A, True)
    assert (only.git_sha, only.git_ref, only.container_port) == ("c" * 40, "main", 8080)
    assert await load(plane, 1) == StoredRelease(1, f"{REPO}@{A}", 8080, "/health", "/runtime/7", "c" * 40, "main", "sealed")


async def test_numbers_count_within_an_app_and_the_newest_is_live(plane: Plane) -> None:
    for job_id in (1, 2, 3):
        await record(plane, finished(job_id), image=f"{REPO}:v{job_id}", digest=A)
    await record(plane, finished(4, app_id=8), image="other/x:1", digest=B)
    assert [(r.number, r.live) for r in await listed(plane)] == [(3, True), (2, False), (1, False)]
    assert [(r.number, r.live) for r in await listed(plane, 8)] == [(1, True)]


async def test_a_failure_leaves_what_is_live(plane: Plane) -> None:
    await record(plane, finished(1), image=f"{REPO}:1", digest=A)
    async with plane.db.write() as conn:
        await BOOK.failed(conn, finished(2), "FAILED", "x" * 20_000, 5_000)
        await BOOK.failed(conn, finished(3, app_id=9), "CANCELLED", None, 5_000)
        rows = {r.app_id: r for r in await conn.execute(select(app_run))}
    assert (rows[7].last_job_id, rows[7].last_job_status, rows[7].live_release_number) == (2, "FAILED", 1)
    assert len(rows[7].last_error) == 8_000
    assert (rows[7].node_id, rows[9].node_id, rows[9].last_job_status) == (1, None, "CANCELLED")
    assert (await listed(plane))[0].live


async def test_an_older_runner_says_nothing_and_its_release_is_known_by_the_payload(plane: Plane) -> None:
    await record(plane, finished(1, acrRegistry="reg.example:5000", acrNamespace="funaistudio", containerPort=80))
    await record(plane, finished(2, image=f"{REPO}@{B}"))
    assert [(r.image, r.digest) for r in await listed(plane)] == [(f"{REPO}@{B}", B), (f"{REPO}:latest", None)]
    with pytest.raises(NotFound):
        await load(plane, 1)
    assert (await load(plane, 2)).image == f"{REPO}@{B}"


async def test_a_success_without_a_usable_image_runs_but_is_no_release(plane: Plane) -> None:
    await record(plane, finished(1))
    await record(plane, finished(2), image="NOT AN IMAGE", digest="nonsense")
    assert await listed(plane) == []
    async with plane.db.read() as conn:
        row = (await conn.execute(select(app_run))).one()
    assert (row.last_job_id, row.last_job_status, row.live_release_number) == (2, "SUCCEEDED", None)


async def test_nothing_to_go_back_to(plane: Plane) -> None:
    await record(plane, finished(1), image=f"{REPO}:1", digest=A)
    for app_id, number in ((7, 2), (7, 2**31 + 5), (7, 2**80), (7, 0), (8, 1)):
        with pytest.raises(NotFound) as refused:
            await load(plane, number, app_id)
        assert refused.value.reason == "RELEASE_NOT_FOUND"
