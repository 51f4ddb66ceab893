"""A small fleet of the placement benchmark: apps come in bursts between heartbeats that tell what was placed."""

from __future__ import annotations

from benchmarks.nodes import Fleet, decisions, placed, spread
from tests.service.deploy.plane import Plane


async def test_spread_of_new_apps_on_equal_nodes_is_even(lite: Plane) -> None:
    assert await spread(lite.db, nodes=10, apps=200) <= 0.05


async def test_decisions_see_nodes_that_are_full_of_apps(plane: Plane) -> None:
    fleet = Fleet(plane.db, 30)
    await fleet.beat_all()
    await fleet.settle(600)
    assert len(await decisions(fleet, 5)) == 5
    await placed(fleet, 1_001, 30)
    shown = {n.name: n.placements for n in await plane.nodes.list()}
    assert shown == dict.fromkeys(fleet.names, 21)
