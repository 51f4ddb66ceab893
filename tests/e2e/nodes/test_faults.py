"""What a platform of several nodes outlives, with real parts: every test leaves it whole."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from benchmarks.chaos.processes import processes
from benchmarks.chaos.visitors import Visits
from funai.contracts.apps.moves import DrainState
from funai.contracts.states import NodeHealth
from tests.e2e.nodes.world import ANSWER, Nodes, serves
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually

pytestmark = only_in_full


async def begun(platform: Nodes, drain_id: int) -> None:
    """Some app is on its way, and not all have left."""

    async def moving() -> bool:
        now = await platform.progress(drain_id)
        return now.moving > 0 and now.state is DrainState.RUNNING

    await eventually(moving, seconds=30, what="an app moves")


async def emptied(platform: Nodes, urls: dict[int, str], drain_id: int) -> None:
    """The drain ended, and every app serves from another node."""
    ended = await platform.drained(drain_id)
    assert (ended.state, ended.moved, ended.failed) == (DrainState.DONE, len(urls), 0), ended.moves
    homes = await platform.homes()
    assert "node-1" not in {homes[app_id] for app_id in urls}
    for url in urls.values():
        assert await serves(url), url


async def test_drain_goes_on_without_the_sources_agent_and_loses_no_request(platform: Nodes) -> None:
    await platform.all_healthy()
    urls, source = await platform.live(4, "node-1"), platform.machines[0]
    visits = Visits({app_id: {ANSWER} for app_id in urls}, patience=60)
    async with visits.of(urls):
        drain_id = await platform.drain("node-1")
        await begun(platform, drain_id)
        source.agent.kill()
        await emptied(platform, urls, drain_id)
    assert not visits.bad and not visits.stale, visits.bad[:3] + visits.stale[:3]
    source.agent.start()
    await eventually(lambda: platform.left("node-1", urls), seconds=60, what="the node runs none of the apps")


async def test_drain_goes_on_after_deploy_was_killed_and_loses_no_request(platform: Nodes) -> None:
    await platform.all_healthy()
    urls, deploy = await platform.live(6, "node-1"), platform.daemons["deploy"]
    visits = Visits({app_id: {ANSWER} for app_id in urls}, patience=60)
    async with visits.of(urls):
        drain_id = await platform.drain("node-1")
        await begun(platform, drain_id)
        deploy.kill()
        await asyncio.to_thread(deploy.start)
        await emptied(platform, urls, drain_id)
    assert not visits.bad and not visits.stale, visits.bad[:3] + visits.stale[:3]


async def test_edge_killed_while_deploy_is_away_serves_its_last_map(platform: Nodes) -> None:
    await platform.all_healthy()
    urls, deploy, edge = await platform.live(2, "node-2"), platform.daemons["deploy"], platform.daemons["edge"]
    deploy.stop()
    edge.kill()
    for pid in processes("haproxy", str(platform.folder / "edge")):
        os.kill(pid, signal.SIGKILL)
    edge.start()
    for url in urls.values():
        await eventually(lambda url=url: serves(url), what=f"{url} serves by the last map")
    deploy.start()
    await platform.all_healthy()


async def test_apps_of_a_node_that_is_cut_off_start_elsewhere_and_run_once_when_it_is_back(platform: Nodes) -> None:
    await platform.all_healthy()
    urls = await platform.live(3, "node-2")
    platform.switch.cut(2)
    try:

        async def elsewhere() -> bool:
            homes = await platform.homes()
            return "node-2" not in {homes[app_id] for app_id in urls}

        await eventually(elsewhere, seconds=90, what="the apps are placed elsewhere", every=0.2)
        for url in urls.values():
            await eventually(lambda url=url: serves(url), seconds=30, what=f"{url} serves from elsewhere")
        visits = Visits({app_id: {ANSWER} for app_id in urls}, patience=60)
        async with visits.of(urls):
            platform.switch.mend(2)
            await eventually(lambda: platform.left("node-2", urls), seconds=90, what="the node that is back stops the apps")
    finally:
        platform.switch.mend(2)
    await platform.all_healthy()
    assert not visits.bad and not visits.stale, visits.bad[:3] + visits.stale[:3]


async def test_full_disk_takes_no_new_app_until_there_is_room(platform: Nodes) -> None:
    await platform.all_healthy()
    storage, last = platform.slot.folder / "n3", "node-3"
    filler = storage / "filler"
    try:
        fill(storage, filler)

        async def low() -> bool:
            node = (await platform.known())[last]
            return node.disk_free_pct is not None and node.disk_free_pct < 2 and node.health is not NodeHealth.STALE

        await eventually(low, seconds=30, what="the node says that its disk is full")
        urls = await platform.live(4)
        homes = await platform.homes()
        assert last not in {homes[app_id] for app_id in urls}
    finally:
        filler.unlink(missing_ok=True)
    await eventually(lambda: roomy(platform, last), seconds=30, what="the node says that it has room")
    (app_id,) = await platform.live(1, last)
    assert (await platform.homes())[app_id] == last


async def roomy(platform: Nodes, name: str) -> bool:
    free = (await platform.known())[name].disk_free_pct
    return free is not None and free > 4


def fill(storage: Path, filler: Path) -> None:
    """Leave one part in a hundred."""
    disk = os.statvfs(storage)
    spare = disk.f_bavail - disk.f_blocks // 100
    with filler.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, spare * disk.f_frsize)
