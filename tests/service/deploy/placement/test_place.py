"""Placement in real databases: sticky, spread, safe under races, rechecked when it is committed."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from funai.contracts.jobs import RuntimeNodeRef
from funai.contracts.nodes import ReassignApp, UpsertNode
from funai.deploy.placement import policy, store
from funai.deploy.queue.ports import Waiting
from funai.deploy.tables import placement, runtime_node
from tests.service.deploy.plane import Plane


async def test_an_app_stays_where_it_was_placed(plane: Plane) -> None:
    first = await plane.beat("a", 60)
    await plane.beat("b", 50)
    assert (await plane.placed(7)).id == first
    await plane.beat("b", 99)
    again = await plane.placed(7)
    assert (again.id, again.name, again.agent_base_url, again.gateway_base_url) == (first, "a", "http://a:7005", "http://a")


async def test_without_nodes_the_job_waits_with_its_reason(plane: Plane) -> None:
    assert await plane.place(1) == Waiting("NO_RUNTIME_NODE")
    await plane.beat("a", 20)
    assert await plane.place(1) == Waiting("NODE_DISK_PRESSURE")
    async with plane.db.read() as conn:
        assert (await conn.execute(select(placement))).all() == []


async def test_an_app_waits_for_its_own_node_and_is_never_moved(plane: Plane) -> None:
    await plane.beat("a", 60)
    await plane.placed(1)
    await plane.beat("b", 90)
    await plane.beat("a", 10)
    assert await plane.place(1) == Waiting("NODE_DISK_PRESSURE")
    await plane.beat("a", 20)
    assert (await plane.placed(1)).name == "a"
    await plane.nodes.set_enabled("a", False)
    assert (await plane.placed(1)).name == "a"
    assert await plane.place(1, later_ms=120_000) == Waiting("NO_RUNTIME_NODE")


async def test_an_app_whose_node_was_forgotten_gets_another(plane: Plane) -> None:
    gone = await plane.beat("a")
    await plane.placed(1)
    async with plane.db.write() as conn:
        await conn.execute(runtime_node.delete().where(runtime_node.c.id == gone))
    await plane.beat("b")
    assert (await plane.placed(1)).name == "b"


async def test_a_burst_between_heartbeats_spreads(plane: Plane) -> None:
    for name in "abcd":
        await plane.beat(name, 60)
    placed = Counter([(await plane.placed(app)).name for app in range(1, 101)])
    assert placed == {"a": 25, "b": 25, "c": 25, "d": 25}


async def test_a_concurrent_burst_spreads_too(plane: Plane) -> None:
    for name in "abcd":
        await plane.beat(name, 60)
    gate = asyncio.Semaphore(8)

    async def one(app: int) -> str:
        async with gate:
            return (await plane.placed(app)).name

    placed = Counter(await asyncio.gather(*(one(app) for app in range(1, 101))))
    assert sum(placed.values()) == 100
    assert max(placed.values()) - min(placed.values()) <= 8, placed  # what eight claims may not see of each other


async def test_the_count_of_a_burst_starts_anew_with_a_heartbeat(plane: Plane) -> None:
    await plane.beat("a", 60)
    await plane.beat("b", 50)
    assert {(await plane.placed(app)).name for app in range(1, 11)} == {"a"}
    assert (await plane.placed(11)).name == "b"
    await plane.beat("a", 60)
    assert {(await plane.placed(app)).name for app in range(12, 20)} == {"a"}


async def test_two_claims_never_put_an_app_on_two_nodes(plane: Plane) -> None:
    await plane.beat("a", 60)
    await plane.beat("b", 60)
    for app in range(1, 11):
        where = await asyncio.gather(*(plane.placed(app) for _ in range(6)))
        assert len({w.id for w in where}) == 1
    async with plane.db.read() as conn:
        counts = (await conn.execute(select(runtime_node.c.placed_since_heartbeat))).scalars()
        assert sum(counts) == 10


async def test_a_node_disabled_after_the_choice_is_not_taken(plane: Plane) -> None:
    """The choice is made on what was read; booking repeats it on what is."""
    a = await plane.beat("a", 90)
    await plane.beat("b", 50)
    now_ms = await plane.now()
    async with plane.db.read() as conn:
        chosen = policy.choose(1, await store.nodes(conn), now_ms, plane.rules)
    assert isinstance(chosen, policy.Node)
    assert chosen.id == a
    await plane.nodes.set_enabled("a", False)
    async with plane.db.write() as conn:
        assert not await store.book(conn, chosen.id, now_ms, plane.rules)
    assert (await plane.placed(1)).name == "b"


async def test_a_claim_waits_for_the_operator_who_is_just_disabling_its_choice(plane: Plane) -> None:
    """The disabling has not been committed when the claim chooses, and has been when the claim takes the node."""
    await plane.beat("a", 90)
    await plane.beat("b", 50)
    async with plane.db.write() as conn:
        await conn.execute(update(runtime_node).where(runtime_node.c.name == "a").values(enabled=0))
        claiming = asyncio.create_task(plane.placed(1))
        done, _ = await asyncio.wait([claiming], timeout=0.3)
        assert not done
    assert (await claiming).name == "b"
    assert [p.app_id for p in await plane.nodes.placements(None, 0, 10)] == [1]


class Undo(Exception):
    """Rolls the transaction back."""


async def test_booking_repeats_every_condition(plane: Plane) -> None:
    a = await plane.beat("a", 90)
    now_ms = await plane.now()

    async def books(now: int = now_ms, **changed: object) -> bool:
        booked = False
        with suppress(Undo):
            async with plane.db.write() as conn:
                if changed:
                    await conn.execute(update(runtime_node).values(changed))
                booked = await store.book(conn, a, now, plane.rules)
                raise Undo
        return booked

    assert await books()
    assert not await books(enabled=0)
    assert not await books(drained=1)
    assert not await books(unhealthy=1)
    assert not await books(agent_base_url=None)
    assert not await books(gateway_base_url=None)
    assert not await books(now=now_ms + 61_000)
    assert not await books(now=now_ms - 61_000)


async def test_a_reassign_waits_for_the_claim_that_is_placing(plane: Plane) -> None:
    """Whichever comes second sees the first: the app is where the placement says, and the claim knows it."""
    await plane.beat("a", 90)
    b = await plane.beat("b", 50)
    await plane.placed(1)
    entered, go_on = asyncio.Event(), asyncio.Event()

    async def claim(conn: AsyncConnection) -> RuntimeNodeRef | Waiting:
        where = await plane.placer.place(conn, 1, await _now(plane, conn))
        entered.set()
        await go_on.wait()
        return where

    claiming = asyncio.create_task(plane.db.retrying(claim))
    await entered.wait()
    moving = asyncio.create_task(plane.nodes.reassign(ReassignApp(app_id=1, target_node_id=b)))
    done, _ = await asyncio.wait([moving], timeout=0.3)
    assert not done
    go_on.set()
    where = await claiming
    assert isinstance(where, RuntimeNodeRef)
    assert where.name == "a"
    assert (await moving).node_id == b
    assert (await plane.placed(1)).id == b


async def test_nodes_made_by_an_operator_wait_for_their_heartbeat(plane: Plane) -> None:
    made = await plane.nodes.upsert(UpsertNode(name="a", agent_base_url="http://a:1", gateway_base_url="http://a"))
    assert (made.health, made.enabled, made.placements) == ("STALE", True, 0)
    assert await plane.place(1) == Waiting("NO_RUNTIME_NODE")


async def _now(plane: Plane, conn: AsyncConnection) -> int:
    return int((await conn.execute(select(plane.db.now_ms()))).scalar_one())
