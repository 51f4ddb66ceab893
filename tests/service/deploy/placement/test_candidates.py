"""The database finds the nodes that the policy would choose, in each of them."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert, select

from funai.deploy.placement import candidates, policy, store
from funai.deploy.placement.policy import Node, Rules
from funai.deploy.tables import runtime_node
from tests.service.deploy.plane import Plane

GIB = 2**30


def row(number: int, now_ms: int, dice: random.Random) -> dict[str, Any]:
    """A node as it may be, now and then with something that keeps new apps away."""
    pct = dice.choice([None, 26.0, 40.0, 60.0, 60.0, 99.5])
    return {
        "name": f"n{number}",
        "agent_base_url": dice.choice(["http://a", "http://a", "http://a", None, ""]),
        "gateway_base_url": "http://g",
        "enabled": dice.choice([1, 1, 1, 0]),
        "drained": dice.choice([0, 0, 0, 1]),
        "unhealthy": 0,
        "last_heartbeat_ms": now_ms - dice.choice([0, 1_000, 59_000, 61_000]),
        "disk_free_pct": pct,
        "disk_free_bytes": None if pct is None else dice.choice([None, 0, 10 * GIB, 4_000 * GIB]),
        "placed_since_heartbeat": dice.choice([0, 0, 1, 3]),
        "container_count": dice.choice([None, 0, 40]),
        "memory_bytes": dice.choice([None, 32 * GIB]),
        "memory_free_bytes": dice.choice([None, GIB, 20 * GIB]),
        "app_memory_bytes": dice.choice([None, 0, GIB]),
    }


@pytest.mark.parametrize("overcommit", [0.0, 1.25])
async def test_candidates_choose_what_the_policy_chooses_of_all(plane: Plane, overcommit: float) -> None:
    rules, now_ms = Rules(memory_overcommit=overcommit), await plane.now()
    for seed in range(12):
        dice = random.Random(seed)
        async with plane.db.write() as conn:
            await conn.execute(runtime_node.delete())
            for number in range(seed * 2):
                await conn.execute(insert(runtime_node).values(**row(number, now_ms, dice)))
        async with plane.db.read() as conn:
            known = await store.nodes(conn)
            for app in range(1, 6):
                chosen = await candidates.choose(conn, app, now_ms, rules)
                assert chosen == policy.choose(app, known, now_ms, rules), (seed, app)


async def test_candidates_of_many_equal_nodes_spread_a_burst(lite: Plane) -> None:
    now_ms = await lite.now()
    same = {"agent_base_url": "http://a", "gateway_base_url": "http://g", "last_heartbeat_ms": now_ms, "disk_free_pct": 60.0}
    async with lite.db.write() as conn:
        await conn.execute(insert(runtime_node), [{"name": f"n{n}", **same} for n in range(200)])
    placed = Counter([(await lite.placed(app)).id for app in range(1, 401)])
    assert set(placed.values()) == {2}


async def test_a_node_without_memory_for_one_more_app_comes_last_and_over_the_limit_never(lite: Plane) -> None:
    memory = {"memoryBytes": 8 * GIB, "appMemoryBytes": GIB}
    a = await lite.beat("a", 90, **memory, memoryFreeBytes=GIB // 2, containerCount=7)
    b = await lite.beat("b", 30, **memory, memoryFreeBytes=4 * GIB, containerCount=8)
    assert (await lite.placed(1)).id == b
    lite.rules = replace(lite.rules, memory_overcommit=1.0)
    assert (await lite.placed(2)).id == a
    waits = await lite.place(3)
    assert getattr(waits, "reason", None) == "NODE_MEMORY_PRESSURE"
    async with lite.db.read() as conn:
        rows = {r[0]: r[1] for r in await conn.execute(select(runtime_node.c.name, runtime_node.c.memory_bytes))}
    assert rows == {"a": 8 * GIB, "b": 8 * GIB}


def test_short_of_memory_counts_what_was_placed_since_the_heartbeat() -> None:
    node = Node(id=1, name="a", memory_free_bytes=2 * GIB, app_memory_bytes=GIB)
    assert [policy.short_of_memory(replace(node, placed_since_heartbeat=n)) for n in (0, 1, 2)] == [False, False, True]
    assert not policy.short_of_memory(replace(node, app_memory_bytes=0))
