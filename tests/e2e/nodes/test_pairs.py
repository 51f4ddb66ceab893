"""Two of a kind side by side: what one of them does when the other is killed."""

from __future__ import annotations

import asyncio
import os
import signal

from benchmarks.chaos.processes import processes
from benchmarks.chaos.visitors import Visits
from funai.contracts.apps.moves import DrainState
from tests.e2e.nodes.test_faults import begun
from tests.e2e.nodes.world import ANSWER, Nodes, serves
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually, free_port

pytestmark = only_in_full


async def test_second_edge_follows_a_drain_and_loses_no_request_while_the_first_is_dead(platform: Nodes) -> None:
    await platform.all_healthy()
    urls, first, port = await platform.live(2, "node-1"), platform.daemons["edge"], free_port()
    second = platform.second_edge(port)
    beside = {app_id: url.replace(f":{platform.edge_port}/", f":{port}/") for app_id, url in urls.items()}
    await asyncio.to_thread(second.start)
    try:
        for url in beside.values():
            await eventually(lambda url=url: serves(url), seconds=30, what=f"{url} serves at the second edge")
        visits = Visits({app_id: {ANSWER} for app_id in beside}, patience=60)
        async with visits.of(beside):
            first.kill()
            for pid in processes("haproxy", f"{platform.folder}/edge/"):
                os.kill(pid, signal.SIGKILL)
            ended = await platform.drained(await platform.drain("node-1"))
            await eventually(lambda: platform.left("node-1", urls), seconds=60, what="the node runs none of the apps")
        assert (ended.state, ended.failed) == (DrainState.DONE, 0), ended.moves
        assert not visits.bad and not visits.stale, visits.bad[:3] + visits.stale[:3]
    finally:
        await asyncio.to_thread(second.stop)
        await asyncio.to_thread(first.start)
    for url in urls.values():
        await eventually(lambda url=url: serves(url), seconds=30, what=f"{url} serves at the first edge again")


async def test_second_deploy_on_the_same_database_finishes_a_drain_when_the_first_is_killed(platform: Nodes) -> None:
    await platform.all_healthy()
    urls, first = await platform.live(6, "node-1"), platform.daemons["deploy"]
    port = free_port(platform.switch.host)
    second, address = platform.second_deploy(port), platform.take_over(port)
    await asyncio.to_thread(second.start)
    try:
        visits = Visits({app_id: {ANSWER} for app_id in urls}, patience=60)
        async with visits.of(urls):
            drain_id = await platform.drain("node-1")
            await begun(platform, drain_id)
            first.kill()
            await asyncio.to_thread(address.start)
            ended = await platform.drained(drain_id)
            await eventually(lambda: platform.left("node-1", urls), seconds=60, what="the node runs none of the apps")
        assert (ended.state, ended.failed) == (DrainState.DONE, 0), ended.moves
        assert not visits.bad and not visits.stale, visits.bad[:3] + visits.stale[:3]
    finally:
        await asyncio.to_thread(address.stop)
        await asyncio.to_thread(first.start)
        await asyncio.to_thread(second.stop)
    await platform.all_healthy()
