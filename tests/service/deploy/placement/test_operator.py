"""What an operator does with nodes, in real databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import update

from funai.contracts.errors import BadInput, Conflict, NotFound
from funai.contracts.nodes import DrainNode, ReassignApp
from funai.deploy.apps import overview
from funai.deploy.tables import app_run, job, runtime_node
from tests.service.deploy.plane import Plane


async def test_the_free_disk_is_what_the_node_told(plane: Plane) -> None:
    told = [80.1, 33.33, 99.99, 100, 0]
    for number, pct in enumerate(told):
        await plane.beat(f"n{number}", pct)
    assert [node.disk_free_pct for node in await plane.nodes.list()] == told


async def test_reassign_moves_the_next_deploy(plane: Plane) -> None:
    await plane.beat("a", 90)
    b = await plane.beat("b", 50)
    await plane.placed(1)
    moved = await plane.nodes.reassign(ReassignApp(app_id=1, target_node_id=b))
    assert (moved.app_id, moved.node_id) == (1, b)
    assert (await plane.placed(1)).id == b
    assert [p.app_id for p in await plane.nodes.placements(b, 0, 10)] == [1]


async def test_reassign_gives_an_app_its_first_node(plane: Plane) -> None:
    await plane.beat("a", 90)
    b = await plane.beat("b", 50)
    await plane.nodes.reassign(ReassignApp(app_id=1, target_node_id=b))
    assert (await plane.placed(1)).id == b


async def test_reassign_refuses_what_would_not_work(plane: Plane) -> None:
    await plane.beat("a", 90)
    b = await plane.beat("b", 20)
    await plane.placed(1)
    with pytest.raises(NotFound, match="no such node"):
        await plane.nodes.reassign(ReassignApp(app_id=1, target_node_id=99))
    with pytest.raises(Conflict, match="DRAINING"):
        await plane.nodes.reassign(ReassignApp(app_id=1, target_node_id=b))
    await plane.beat("b", 60)
    await plane.job(1, "RUNNING")
    with pytest.raises(Conflict) as refused:
        await plane.nodes.reassign(ReassignApp(app_id=1, target_node_id=b))
    assert refused.value.reason == "APP_DEPLOYING"
    assert (await plane.placed(1)).name == "a"


async def test_a_job_that_waits_for_its_dead_node_goes_on_after_a_reassign(plane: Plane) -> None:
    await plane.beat("a", 90)
    await plane.placed(1)
    await plane.job(1, "PENDING")
    await plane.beat("a", 5)
    b = await plane.beat("b", 50)
    before = plane.queue.changes
    await plane.nodes.reassign(ReassignApp(app_id=1, target_node_id=b))
    assert plane.queue.changes == before + 1
    assert (await plane.placed(1)).id == b


async def test_drain_moves_everything_but_what_is_being_deployed(plane: Plane) -> None:
    a = await plane.beat("a", 90)
    for app in range(1, 8):
        await plane.placed(app)
    await plane.job(3, "RUNNING")
    await plane.beat("b", 60)
    await plane.beat("c", 60)
    await plane.nodes.set_enabled("a", False)
    report = await plane.nodes.drain(DrainNode(source_node_id=a, limit=5))
    assert [m.app_id for m in report.moved] == [1, 2, 4, 5, 6]
    assert [(s.app_id, s.reason) for s in report.skipped] == [(3, "APP_DEPLOYING")]
    assert report.remaining == 2
    async with plane.db.write() as conn:
        await conn.execute(job.delete())
    report = await plane.nodes.drain(DrainNode(source_node_id=a))
    assert report.remaining == 0
    placed = {n.name: n.placements for n in await plane.nodes.list()}
    assert placed["a"] == 0
    assert sorted([placed["b"], placed["c"]]) in ([3, 4], [2, 5])


async def test_drain_passes_over_what_it_can_not_move(plane: Plane) -> None:
    a = await plane.beat("a", 90)
    for app in range(1, 8):
        await plane.placed(app)
    for app in (1, 2, 3):
        await plane.job(app, "RUNNING")
    await plane.beat("b", 60)
    for moved in ([4, 5], [6, 7], []):
        report = await plane.nodes.drain(DrainNode(source_node_id=a, limit=2))
        assert [m.app_id for m in report.moved] == moved
        assert [s.app_id for s in report.skipped] == [1, 2, 3]
    assert report.remaining == 3


async def test_drain_looks_no_further_when_no_node_takes_anything(lite: Plane) -> None:
    a = await lite.beat("a", 90)
    for app in range(1, 8):
        await lite.placed(app)
    report = await lite.nodes.drain(DrainNode(source_node_id=a, limit=3))
    assert [(s.app_id, s.reason) for s in report.skipped] == [(n, "NO_RUNTIME_NODE") for n in (1, 2, 3)]


async def test_drain_to_one_node(plane: Plane) -> None:
    a, b = await plane.beat("a", 90), await plane.beat("b", 30)
    await plane.beat("c", 80)
    await plane.nodes.set_enabled("c", False)
    for app in range(1, 4):
        await plane.placed(app)
    await plane.nodes.drain(DrainNode(source_node_id=a, target_node_id=b))
    assert [p.app_id for p in await plane.nodes.placements(b, 1, 10)] == [2, 3]
    assert len(await plane.nodes.placements(None, 0, 10)) == 3


async def test_drain_says_why_it_can_not(plane: Plane) -> None:
    a = await plane.beat("a", 90)
    await plane.placed(1)
    with pytest.raises(BadInput):
        await plane.nodes.drain(DrainNode(source_node_id=a, target_node_id=a))
    with pytest.raises(NotFound):
        await plane.nodes.drain(DrainNode(source_node_id=99))
    report = await plane.nodes.drain(DrainNode(source_node_id=a))
    assert [(s.app_id, s.reason) for s in report.skipped] == [(1, "NO_RUNTIME_NODE")]
    assert report.remaining == 1


async def test_drains_and_claims_at_once_leave_every_app_on_one_node(plane: Plane) -> None:
    a = await plane.beat("a", 90)
    for app in range(1, 13):
        await plane.placed(app)
    await plane.beat("b", 60)
    await plane.nodes.set_enabled("a", False)
    drains = [plane.nodes.drain(DrainNode(source_node_id=a)) for _ in range(2)]
    placed, *_ = await asyncio.gather(asyncio.gather(*(plane.placed(app) for app in range(1, 13))), *drains)
    assert len(placed) == 12
    now = {p.app_id: p.node_id for p in await plane.nodes.placements(None, 0, 100)}
    assert len(now) == 12
    assert a not in now.values()
    for app, node in now.items():
        assert (await plane.placed(app)).id == node


async def test_an_unknown_node_is_not_enabled(plane: Plane) -> None:
    with pytest.raises(NotFound):
        await plane.nodes.set_enabled("nobody", True)


async def test_remove_of_a_node_that_is_gone_forgets_all_that_was_there(plane: Plane) -> None:
    a = await plane.beat("a", 90)
    for app in (1, 2):
        await plane.placed(app)
    async with plane.db.write() as conn:
        await conn.execute(app_run.insert().values(app_id=1, node_id=a, live_release_number=1))
    with pytest.raises(Conflict) as alive:
        await plane.nodes.remove("a")
    assert alive.value.reason == "NODE_ALIVE"
    with pytest.raises(NotFound):
        await plane.nodes.remove("b")
    async with plane.db.write() as conn:
        await conn.execute(update(runtime_node).values(last_heartbeat_ms=1))
    removed = await plane.nodes.remove("a")
    assert (removed.node_id, removed.apps) == (a, [1, 2])
    assert await plane.nodes.list() == []
    async with plane.db.read() as conn:
        (seen,) = await overview.of(conn, [1, 2], await plane.db.clock(conn), plane.rules)
    assert (seen.app_id, seen.stopped, seen.node_name) == (1, True, None)
    b = await plane.beat("b", 60)
    assert (await plane.placed(1)).id == b


async def test_remove_by_force_takes_one_that_still_beats(plane: Plane) -> None:
    await plane.beat("a", 90)
    assert (await plane.nodes.remove("a", force=True)).apps == []
