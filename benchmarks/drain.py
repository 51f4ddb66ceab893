"""A node is emptied under requests, with real parts: ``python -m benchmarks.drain`` prints one JSON line last.

Two nodes in network namespaces, each with an engine, an agent and a HAProxy of its own; one Deploy, one Runner and one edge.

* ``drain_failed_requests``: visitors' requests through the edge that were not answered well, from before the drain until the
  node runs none of its apps any more;
* ``drain_requests``: all of theirs;
* ``drain_ms_per_app``: from the operator's command until the last app serves elsewhere, by the number of apps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import time

from benchmarks.chaos.visitors import Visits
from funai.contracts.apps.moves import DrainState
from funai.standalone.parts import engine
from tests.e2e.nodes.world import ANSWER, Nodes, nodes
from tests.parts.waiting import eventually
from tests.parts.workspace import new_workspace


async def drained(platform: Nodes, apps: int) -> dict[str, float]:
    await platform.all_healthy()
    urls = await platform.live(apps, "node-1")
    visits = Visits({app_id: {ANSWER} for app_id in urls}, patience=60)
    async with visits.of(urls):
        began = time.perf_counter()
        ended = await platform.drained(await platform.drain("node-1"))
        took = time.perf_counter() - began
        await eventually(lambda: platform.left("node-1", urls), seconds=60, what="the node runs none of the apps")
    assert (ended.state, ended.moved) == (DrainState.DONE, apps), ended
    return {
        "drain_failed_requests": len(visits.bad) + len(visits.stale),
        "drain_requests": visits.requests,
        "drain_ms_per_app": round(took * 1000 / apps),
        "drain_apps": apps,
    }


def measured(apps: int) -> dict[str, float]:
    """The figures of this module."""
    folder = new_workspace("drain")
    try:
        with nodes(folder, asyncio.run(engine.choose()), 2) as platform:
            return asyncio.run(drained(platform, apps))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="A node is emptied under requests; one JSON line last.")
    parser.add_argument("--apps", type=int, default=10)
    print(json.dumps(measured(parser.parse_args().apps)))


if __name__ == "__main__":
    main()
