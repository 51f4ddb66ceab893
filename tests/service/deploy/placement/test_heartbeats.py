"""Heartbeats in real databases: registering, refreshing, marks that stick, and waking what waits."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from sqlalchemy import ColumnElement, literal_column, select

from funai.contracts.errors import Unavailable
from funai.contracts.jobs import JobResult
from funai.contracts.nodes import NodeHeartbeat, ReassignApp, UpsertNode, Walls
from funai.contracts.states import NodeHealth
from funai.deploy.placement import heartbeats, stale
from funai.deploy.placement.heartbeats import Heartbeats
from funai.deploy.placement.walls import WallsMaker
from funai.deploy.queue.ports import FinishedJob
from funai.deploy.releases.store import ReleaseBook
from funai.deploy.tables import leftover, runtime_node
from tests.service.deploy.plane import Calls, Plane, commits
from tests.service.deploy.queue.kit import settings


async def test_a_node_registers_by_name_and_refreshes(plane: Plane) -> None:
    first = await plane.beat("a", 60, diskFreeBytes=5, containerCount=3, engine="podman", crashLooping=[7, 9])
    assert await plane.beat("a", 50, containerCount=4) == first
    (node,) = await plane.nodes.list()
    assert (node.name, node.health, node.disk_free_pct, node.disk_free_bytes) == ("a", "HEALTHY", 50, 5)
    assert (node.container_count, node.engine, node.enabled) == (4, "podman", True)
    assert node.last_heartbeat_at is not None
    assert abs(node.last_heartbeat_at.timestamp() * 1000 - await plane.now()) < 60_000


async def test_what_an_older_agent_leaves_out_stays(plane: Plane) -> None:
    await plane.nodes.upsert(UpsertNode(name="a", agent_base_url="http://set:1", gateway_base_url="http://set"))
    answer = await plane.heartbeats.take(NodeHeartbeat(node_name="a"))
    assert answer.health is NodeHealth.HEALTHY
    assert (await plane.placed(1)).agent_base_url == "http://set:1"


async def test_what_hinders_a_nodes_apps_is_listed_until_the_node_takes_it_back(plane: Plane) -> None:
    for told, listed in (("port 53 is held", "port 53 is held"), (None, "port 53 is held"), ("", "")):
        await plane.heartbeats.take(NodeHeartbeat(node_name="a", problem=told))
        assert [node.problem for node in await plane.nodes.list()] == [listed]


async def test_many_first_heartbeats_at_once_make_one_node(plane: Plane) -> None:
    ids = await asyncio.gather(*(plane.beat("a", 60) for _ in range(8)))
    assert len(set(ids)) == 1
    assert len(await plane.nodes.list()) == 1


async def test_marks_stick_over_heartbeats(plane: Plane) -> None:
    words = []
    for pct in (30, 24, 26, 27, 10, 16, 17, 30):
        await plane.beat("a", pct)
        words.append((await plane.nodes.list())[0].health)
    expected = ["HEALTHY", "DRAINING", "DRAINING", "HEALTHY", "UNHEALTHY", "UNHEALTHY", "DRAINING", "HEALTHY"]
    assert words == expected


async def test_waiting_jobs_are_woken_when_a_node_can_take_more_and_only_then(lite: Plane) -> None:
    async def changes(pct: float) -> int:
        before = lite.queue.changes
        await lite.beat("a", pct)
        return lite.queue.changes - before

    assert [await changes(p) for p in (10, 10, 20, 26, 30, 60, 60, 20, 30)] == [0, 0, 1, 0, 1, 0, 0, 0, 1]
    await lite.nodes.set_enabled("a", False)
    before = lite.queue.changes
    await lite.nodes.set_enabled("a", True)
    assert lite.queue.changes == before + 1


async def test_a_node_that_comes_back_wakes_what_waits(lite: Plane) -> None:
    await lite.beat("a")
    async with lite.db.write() as conn:
        await conn.execute(runtime_node.update().values(last_heartbeat_ms=await conn.scalar(select(lite.db.now_ms())) - 61_000))
    assert (await lite.nodes.list())[0].health is NodeHealth.STALE
    before = lite.queue.changes
    await lite.beat("a")
    assert lite.queue.changes == before + 1


async def test_an_app_that_moved_is_stale_on_its_old_node_only_once_it_serves_on_the_new(plane: Plane) -> None:
    await plane.beat("a", 90)
    b = await plane.beat("b", 50)
    assert (await plane.placed(5)).name == "a"
    await plane.nodes.reassign(ReassignApp(app_id=5, target_node_id=b))
    assert await _stale(plane, "a") == []

    async with plane.db.write() as conn:
        finished = FinishedJob(1, 5, 1, {"image": "r.example/x/u1-app5:1"}, None, b)
        await ReleaseBook().record(conn, finished, JobResult(), await plane.now())
    assert await _stale(plane, "a") == [5]
    assert await _stale(plane, "b") == []
    assert await _stale(plane, "a") == [5]


async def test_an_app_that_moves_back_is_not_removed_there(plane: Plane) -> None:
    a = await plane.beat("a", 90)
    b = await plane.beat("b", 50)
    await plane.placed(5)
    async with plane.db.write() as conn:
        await stale.leave(conn, 5, a, 1, ready=True)
    assert await _stale(plane, "a") == [5]
    assert (await plane.placed(5)).name == "a"
    assert await _stale(plane, "a") == []
    await plane.nodes.reassign(ReassignApp(app_id=5, target_node_id=b))
    await plane.nodes.reassign(ReassignApp(app_id=5, target_node_id=a))
    async with plane.db.read() as conn:
        assert (await conn.execute(select(leftover.c.node_id))).scalars().all() == [b]


async def test_a_node_is_told_for_an_hour(plane: Plane) -> None:
    a = await plane.beat("a")
    async with plane.db.write() as conn:
        await stale.leave(conn, 5, a, 1, ready=True)
        assert await stale.tell(conn, a, 1_000) == [5]
        assert await stale.tell(conn, a, 1_000 + stale.TELL_MS) == [5]
        assert await stale.tell(conn, a, 1_001 + stale.TELL_MS) == []
        assert await stale.nodes_of(conn, 5) == []


async def _stale(plane: Plane, name: str) -> list[int]:
    return (await plane.heartbeats.take(NodeHeartbeat(node_name=name, disk_free_pct=50))).stale_placements


async def test_heartbeats_that_come_together_are_one_transaction(plane: Plane) -> None:
    taker = Heartbeats(plane.db, plane.rules, plane.queue)
    with commits(plane.db) as seen:
        beats = [NodeHeartbeat(node_name=f"n{n}", disk_free_pct=n) for n in range(50)]
        answers = await asyncio.gather(*map(taker.take, [*beats, NodeHeartbeat(node_name="n7", disk_free_pct=99)]))
    assert len(seen) == 1
    assert answers[7] == answers[50]
    nodes = {n.name: n for n in await plane.nodes.list()}
    assert len(nodes) == 50
    assert nodes["n7"].disk_free_pct == 99
    assert [nodes[f"n{n}"].id for n in range(50)] == [a.node_id for a in answers[:50]]


async def test_heartbeats_of_a_crowd_wait_for_those_that_come_next(lite: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the wait the first would be in hand when the next one comes."""
    monkeypatch.setattr(heartbeats, "time", SimpleNamespace(monotonic=lambda: 0.0))
    taker = Heartbeats(lite.db, lite.rules, lite.queue)

    async def transactions(names: list[str]) -> int:
        with commits(lite.db) as seen:
            taken: list[asyncio.Task[object]] = []
            for name in names:
                taken.append(asyncio.create_task(taker.take(NodeHeartbeat(node_name=name))))
                for _ in range(3):
                    await asyncio.sleep(0)
            await asyncio.gather(*taken)
        return len(seen)

    alone = [f"n{n}" for n in range(heartbeats.CROWD - 1)]
    assert await transactions(alone) > 1
    assert await transactions(["x", "y", "z"]) == 1


async def test_more_heartbeats_than_one_transaction_takes(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """New nodes and known ones, at several widths of the prepared query."""
    monkeypatch.setattr(heartbeats, "MAX_TOGETHER", 20)
    for count in (1, 2, 5, 17, 45):
        taken = await asyncio.gather(*(plane.heartbeats.take(NodeHeartbeat(node_name=f"m{n}")) for n in range(count)))
        assert len({a.node_id for a in taken}) == count


async def test_walls_are_handed_to_nodes_that_have_others_and_to_no_older_agent(lite: Plane) -> None:
    maker = WallsMaker(
        lite.db, settings("sqlite:///x.db", walls_deny=["10.0.0.3:3000"], walls_open=["10.0.0.2:443"], host="10.0.0.2")
    )
    taker = Heartbeats(lite.db, lite.rules, lite.queue, lambda: maker.now)

    async def handed(has: str | None) -> Walls | None:
        here = {"agent_base_url": "http://10.0.0.11:7005", "gateway_base_url": "http://127.0.0.1"}
        return (await taker.take(NodeHeartbeat(node_name="a", walls_revision=has, **here))).walls

    assert await handed("") is None  # none were made yet
    made = await maker.run_once()
    assert made.deny == ["10.0.0.11", "10.0.0.2", "10.0.0.3:3000"]
    assert made.open == ["10.0.0.2:443"]
    assert [await handed(has) for has in ("", "older", made.revision, None)] == [made, made, None, None]
    await lite.heartbeats.take(NodeHeartbeat(node_name="b", upstream_url="http://10.0.0.12:8000"))
    again = await maker.run_once()
    assert "10.0.0.12" in again.deny
    assert await handed(made.revision) == again
    assert await maker.run_once() is again, "nothing changed: they are not made again"


async def test_who_waits_for_a_database_that_is_gone_is_told(plane: Plane) -> None:
    taker = Heartbeats(Gone(), plane.rules, plane.queue)  # pyright: ignore[reportArgumentType]
    beats = [taker.take(NodeHeartbeat(node_name=f"n{n}")) for n in range(3)]
    answers = await asyncio.gather(*beats, return_exceptions=True)
    assert [type(a) for a in answers] == [Unavailable] * 3


class Gone:
    """A database that isn't there."""

    def now_ms(self) -> ColumnElement[int]:
        return literal_column("0")

    async def retrying(self, _: object) -> object:
        raise Unavailable


async def test_a_queue_that_can_not_be_told_spoils_no_other_heartbeat(lite: Plane) -> None:
    class Deaf(Calls):
        async def nodes_changed(self) -> None:
            await asyncio.sleep(0.05)
            raise Unavailable

    taker = Heartbeats(lite.db, lite.rules, Deaf())
    here = {"agent_base_url": "http://a:1", "gateway_base_url": "http://a", "disk_free_pct": 50}
    await taker.take(NodeHeartbeat(node_name="a", **here))
    assert (await taker.take(NodeHeartbeat(node_name="b", **here))).health is NodeHealth.HEALTHY
