"""What Deploy tells of many apps at once, in each database."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, update

from funai.contracts.nodes import MAX_OVERVIEW, AppOverview
from funai.contracts.wire import from_epoch_ms
from funai.deploy import tables
from funai.deploy.apps import overview
from tests.service.deploy.apps.agents import Agents, deploying
from tests.service.deploy.plane import Plane


async def runs(plane: Plane, app_id: int, node_id: int | None, **more: object) -> None:
    async with plane.db.write() as conn:
        await conn.execute(insert(tables.app_run).values(app_id=app_id, node_id=node_id, **more))


async def told(plane: Plane, *app_ids: int, later_ms: int = 0) -> dict[int, AppOverview]:
    now = await plane.now()
    async with plane.db.read() as conn:
        return {o.app_id: o for o in await overview.of(conn, app_ids, now + later_ms, plane.rules)}


async def test_where_each_is_and_how_it_is(plane: Plane) -> None:
    n1 = await plane.beat("n1", crashLooping=[2, 9])
    n2 = await plane.beat("n2")
    async with plane.db.write() as conn:
        made = {"app_id": 1, "number": 3, "job_id": 50, "image": "i", "container_port": 3000, "base_path": "/runtime/1/deep"}
        await conn.execute(insert(tables.release).values(made))
        job = {"id": 60, "type": "BUILD_AND_DEPLOY", "app_id": 3, "status": "SUCCEEDED"}
        await conn.execute(insert(tables.job).values(**job, payload_json='{"basePath": "/runtime/3/x"}'))
    await runs(plane, 1, n1, live_release_number=3, last_deployed_ms=1_000)
    await runs(plane, 2, n1, stopped_ms=5)
    await runs(plane, 3, n2, last_job_id=60)
    await runs(plane, 4, None)
    found = await told(plane, 1, 2, 3, 4, 5)
    assert sorted(found) == [1, 2, 3]
    assert found[1] == AppOverview(
        app_id=1,
        node_name="n1",
        deploy_url="http://n1/runtime/1/deep/",
        release=3,
        deployed_at=from_epoch_ms(1_000),
        crash_looping=False,
    )
    assert (found[2].deploy_url, found[2].stopped, found[2].crash_looping) == ("http://n1/runtime/2/", True, True)
    assert (found[3].node_name, found[3].deploy_url, found[3].stopped) == ("n2", "http://n2/runtime/3/x/", False)


async def test_overview_of_a_node_with_names_for_apps_tells_each_its_own(plane: Plane) -> None:
    node = await plane.beat("n1", appsUrl="https://{app}.apps.example.com/")
    await runs(plane, 12, node)
    found = (await told(plane, 12))[12]
    assert (found.deploy_url, found.access_url) == ("http://n1/runtime/12/", "https://12.apps.example.com/")
    await plane.beat("n1", appsUrl=None)
    assert (await told(plane, 12))[12].access_url == "https://12.apps.example.com/"
    await plane.beat("n1", appsUrl="")
    assert (await told(plane, 12))[12].access_url is None


async def test_a_silent_node_tells_nothing(lite: Plane) -> None:
    await runs(lite, 1, await lite.beat("n1", crashLooping=[1]))
    assert (await told(lite, 1, later_ms=lite.rules.stale_ms))[1].crash_looping is None
    async with lite.db.write() as conn:
        await conn.execute(update(tables.runtime_node).values(gateway_base_url=None))
    assert (await told(lite, 1))[1].deploy_url is None


@pytest.mark.parametrize(("app_ids", "status"), [([1], 200), ([], 200), ([1] * (MAX_OVERVIEW + 1), 400), ([0], 400)])
async def test_the_call_is_bounded_and_behind_the_door(sqlite_url: str, app_ids: list[int], status: int) -> None:
    async with deploying(sqlite_url, Agents()) as deploy:
        asked = await deploy.raw.post("/deploy/apps/overview", json={"appIds": app_ids})
        assert asked.status_code == status
        shut = await deploy.raw.post("/deploy/apps/overview", json={"appIds": app_ids}, headers={"X-DEPLOY-SECRET": "no"})
        assert shut.status_code == 401
