"""A node is emptied while its apps are visited through the edge."""

from __future__ import annotations

from benchmarks.chaos.visitors import Visits
from funai.contracts.apps.moves import DrainState
from tests.e2e.nodes.world import ANSWER, Nodes
from tests.parts.extent import extent
from tests.parts.waiting import eventually


async def test_drain_under_requests_loses_none_and_the_source_runs_nothing(platform: Nodes) -> None:
    await platform.all_healthy()
    urls = await platform.live(extent(3, 10), "node-1")
    visits = Visits({app_id: {ANSWER} for app_id in urls}, patience=60)
    async with visits.of(urls):
        drain_id = await platform.drain("node-1")
        ended = await platform.drained(drain_id)
        await eventually(lambda: platform.left("node-1", urls), seconds=30, what="the node runs none of the apps")
        seen = visits.requests
        await eventually(lambda: visits.requests > seen + 2 * len(urls), what="the visitors go on")
    assert (ended.state, ended.moved, ended.failed) == (DrainState.DONE, len(urls), 0), ended.moves
    homes = await platform.homes()
    assert "node-1" not in {homes[app_id] for app_id in urls}
    assert not visits.bad and not visits.stale, visits.bad[:3] + visits.stale[:3]
