"""A node is emptied under requests, with real parts: ``python -m benchmarks.drain`` prints one JSON line last.

Two nodes in network namespaces, each with an engine, an agent and a HAProxy of its own; one Deploy, one Runner and one edge.

* ``drain_failed_requests``: visitors' requests through the edge that were not answered well, from before the drain until the
  node runs none of its apps any more;
* ``drain_requests``: all of theirs; ``drain_rate_per_s``: so many a second were made, of the ``--rate`` that was asked for;
  a request waits for no other's answer, and the visitors are a process of their own;
* ``drain_ms_per_app``: from the operator's command until the last app serves elsewhere, by the number of apps.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import time

from benchmarks.chaos.steady import steady
from funai.contracts.apps.moves import DrainState
from funai.standalone.parts import engine
from tests.e2e.nodes.world import ANSWER, Nodes, nodes
from tests.parts.waiting import eventually
from tests.parts.workspace import new_workspace

RATE = 200.0
"""Requests a second."""


async def drained(platform: Nodes, apps: int, rate: float) -> dict[str, float]:
    await platform.all_healthy()
    urls = await platform.live(apps, "node-1")
    async with steady(urls, ANSWER, rate) as seen:
        began = time.perf_counter()
        ended = await platform.drained(await platform.drain("node-1"))
        took = time.perf_counter() - began
        await eventually(lambda: platform.left("node-1", urls), seconds=60, what="the node runs none of the apps")
    assert (ended.state, ended.moved) == (DrainState.DONE, apps), ended
    return {
        "drain_failed_requests": len(seen.bad) + len(seen.stale),
        "drain_requests": seen.requests,
        "drain_rate_per_s": round(seen.rate, 1),
        "drain_ms_per_app": round(took * 1000 / apps),
        "drain_apps": apps,
    }


def measured(apps: int, rate: float = RATE) -> dict[str, float]:
    """The figures of this module."""
    folder = new_workspace("drain")
    try:
        with nodes(folder, asyncio.run(engine.choose()), 2) as platform:
            return asyncio.run(drained(platform, apps, rate))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="A node is emptied under requests; one JSON line last.")
    parser.add_argument("--apps", type=int, default=10)
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second through the edge")
    asked = parser.parse_args()
    print(json.dumps(measured(asked.apps, asked.rate)))


if __name__ == "__main__":
    main()
