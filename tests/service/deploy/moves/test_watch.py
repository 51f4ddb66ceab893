"""Nodes that die and come back, in real databases."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from funai.contracts.apps.moves import DrainKind, DrainState
from funai.deploy.moves.watch import NodeWatch
from tests.service.deploy.moves.fleet import Fleet

GRACE = 300


async def watching(fleet: Fleet) -> NodeWatch:
    """One that has been listening for longer than the grace."""
    watch = NodeWatch(fleet.core.db, fleet.core.moves, GRACE, CollectorRegistry())
    async with fleet.core.db.read() as conn:
        now_ms = await fleet.core.db.clock(conn)
    watch.listens_from(now_ms - GRACE * 1000)
    return watch


async def test_apps_of_a_node_that_dies_are_started_elsewhere_and_removed_there_when_it_comes_back(fleet: Fleet) -> None:
    a = (await fleet.beat("a", 90)).node_id
    for app in (1, 2):
        await fleet.live(app)
    b = (await fleet.beat("b", 60)).node_id
    waits = await fleet.deploy.create(2)
    watch = await watching(fleet)
    await watch.run_once()
    await fleet.round()
    assert (await fleet.core.nodes.list())[0].drain is None

    await fleet.silent_for("a", GRACE)
    await watch.run_once()
    await watch.run_once()
    await fleet.round()
    jobs = [await fleet.claim(), await fleet.claim()]
    assert waits in [j.id for j in jobs]
    assert {j.runtime_node.id for j in jobs if j.runtime_node} == {b}
    for job in jobs:
        await fleet.succeed(job)
    await fleet.round()
    assert await fleet.homes() == {1: b, 2: b}
    drain = (await fleet.core.nodes.list())[0].drain
    assert drain is not None
    assert (drain.kind, drain.state, drain.moved, drain.source_node_id) == (DrainKind.EVACUATION, DrainState.DONE, 2, a)
    await fleet.drained()
    await fleet.round()
    back = await fleet.beat("a", 90)
    assert sorted(back.stale_placements) == [1, 2]
    assert [r.app_id for r in back.removals or []] == [1, 2]


async def test_a_node_that_comes_back_keeps_what_was_not_moved_yet(lite_fleet: Fleet) -> None:
    fleet = lite_fleet
    a = (await fleet.beat("a", 90)).node_id
    for app in (1, 2, 3):
        await fleet.live(app)
    b = (await fleet.beat("b", 60)).node_id
    watch = await watching(fleet)
    await fleet.silent_for("a", GRACE)
    await watch.run_once()
    await fleet.round()
    await fleet.beat("a", 90)
    await watch.run_once()
    for _ in range(2):
        await fleet.succeed(await fleet.claim())
    await fleet.round()
    assert sorted((await fleet.homes()).values()) == sorted([a, b, b])
    drain = (await fleet.core.nodes.list())[0].drain
    assert drain is not None
    assert (drain.state, drain.moved, drain.cancelled) == (DrainState.CANCELLED, 2, 1)


async def test_apps_stay_when_more_than_half_of_the_nodes_are_silent(lite_fleet: Fleet) -> None:
    fleet = lite_fleet
    for name, app in (("a", 1), ("b", 2), ("c", 3)):
        await fleet.beat(name, 90)
        assert await fleet.live(app) == name
        await fleet.beat(name, 20)
    watch = await watching(fleet)
    fleet.core.nodes.held = lambda: watch.held
    await fleet.beat("d", 90)
    await fleet.silent_for("d", 10 * GRACE)
    for name in "ab":
        await fleet.silent_for(name, GRACE)
    await watch.run_once()
    await fleet.round()
    assert [(n.name, n.held, n.drain) for n in await fleet.core.nodes.list()] == [
        ("a", True, None),
        ("b", True, None),
        ("c", False, None),
        ("d", False, None),
    ]
    await fleet.beat("a", 90)
    await watch.run_once()
    assert [n.name for n in await fleet.core.nodes.list() if n.drain] == ["b"]
    assert watch.held == frozenset()


async def test_a_silence_while_the_service_was_away_is_no_death(lite_fleet: Fleet) -> None:
    fleet = lite_fleet
    await fleet.beat("a", 90)
    await fleet.live(1)
    await fleet.beat("b", 60)
    watch = NodeWatch(fleet.core.db, fleet.core.moves, GRACE, CollectorRegistry())
    await fleet.silent_for("a", 2 * GRACE)
    await watch.run_once()
    assert (await fleet.core.nodes.list())[0].drain is None
    assert watch.held == frozenset()
