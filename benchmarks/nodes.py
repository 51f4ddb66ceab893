"""Several nodes: ``python -m benchmarks.nodes --db sqlite`` prints one JSON line last.

First placement on the real service and store, without containers. A database with 1,000 nodes that beat and 100,000 apps that
live on them. What is measured:

* decisions: the choice of a node for a new app; ``place_…`` is the same with its transaction, as a claim has it;
* spread: apps placed anew on 100 equal nodes whose heartbeats tell what was placed: the largest distance from even;
* heartbeats: every node beats once in 10 s, as the service takes them; the processor time of it as a share of one core.

Then the edge, as ``benchmarks.edge`` measures it, and a drain with real parts, as ``benchmarks.drain`` does; each may be left
out with ``--edge-moves 0`` and ``--drain-apps 0``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections import Counter

import uvloop
from sqlalchemy import insert

from benchmarks import drain, edge
from benchmarks.queue import databases
from funai.base.db.engine import Database
from funai.contracts.jobs import RuntimeNodeRef
from funai.contracts.nodes import NodeHeartbeat
from funai.deploy.main import upgrade
from funai.deploy.placement import candidates
from funai.deploy.placement.heartbeats import Heartbeats
from funai.deploy.placement.policy import Node, Rules
from funai.deploy.placement.service import Placer
from funai.deploy.tables import placement

BEAT_SECONDS = 10
CHUNK = 5_000
DISK = 10**12


class Quiet:
    """The queue, where nothing waits."""

    async def nodes_changed(self) -> None: ...

    async def cancel_active(self, app_id: int, actor: str) -> int | None:  # noqa: ARG002
        return None

    async def newest_generation(self, app_id: int) -> int | None:  # noqa: ARG002
        return None

    async def purge_app(self, conn: object, app_id: int) -> int:  # noqa: ARG002
        return 0


class Fleet:
    def __init__(self, db: Database, nodes: int) -> None:
        self.db, self.rules = db, Rules()
        self.names = [f"node-{n}" for n in range(1, nodes + 1)]
        self.heartbeats = Heartbeats(db, self.rules, Quiet())
        self.placer = Placer(self.rules)
        self.apps: Counter[str] = Counter()
        self.ids: dict[str, int] = {}

    async def beat(self, name: str) -> None:
        free = DISK - self.rules.app_bytes * self.apps[name]
        beat = NodeHeartbeat(
            node_name=name,
            agent_base_url=f"http://{name}:7005",
            gateway_base_url=f"http://{name}",
            disk_free_pct=round(100 * free / DISK, 2),
            disk_free_bytes=free,
            container_count=self.apps[name],
            memory_bytes=2**38,
            memory_free_bytes=2**37,
            app_memory_bytes=2**29,
        )
        self.ids[name] = (await self.heartbeats.take(beat)).node_id

    async def beat_all(self) -> None:
        await asyncio.gather(*(self.beat(name) for name in self.names))

    async def place(self, app_id: int) -> float:
        """Milliseconds that it took."""
        began = time.perf_counter()
        where = await self.db.retrying(lambda conn: self._placed(conn, app_id))
        took = (time.perf_counter() - began) * 1000
        self.apps[where.name] += 1
        return took

    async def _placed(self, conn: object, app_id: int) -> RuntimeNodeRef:
        now_ms = await self.db.clock(conn)  # pyright: ignore[reportArgumentType]
        where = await self.placer.place(conn, app_id, now_ms)  # pyright: ignore[reportArgumentType]
        assert isinstance(where, RuntimeNodeRef), where
        return where

    async def settle(self, apps: int) -> None:
        """Apps that live here already, evenly."""
        per = [self.ids[name] for name in self.names]
        for start in range(1, apps + 1, CHUNK):
            some = range(start, min(start + CHUNK, apps + 1))
            rows = [{"app_id": a, "node_id": per[a % len(per)], "created_ms": 1, "last_active_at": 1} for a in some]
            async with self.db.write() as conn:
                await conn.execute(insert(placement), rows)


async def placed(fleet: Fleet, first: int, count: int) -> list[float]:
    return [await fleet.place(app) for app in range(first, first + count)]


async def decisions(fleet: Fleet, count: int) -> list[float]:
    """Milliseconds of the choice alone."""
    took: list[float] = []
    for app in range(1, count + 1):
        async with fleet.db.read() as conn:
            now_ms = await fleet.db.clock(conn)
            began = time.perf_counter()
            chosen = await candidates.choose(conn, app, now_ms, fleet.rules)
            took.append((time.perf_counter() - began) * 1000)
            assert isinstance(chosen, Node), chosen
    return took


async def spread(db: Database, nodes: int, apps: int) -> float:
    """Largest distance of a node's apps from even, as a share of it; nodes beat after every tenth part of the apps."""
    fleet = Fleet(db, nodes)
    step = max(1, apps // 10)
    for start in range(1, apps + 1, step):
        await fleet.beat_all()
        await placed(fleet, start, min(step, apps + 1 - start))
    even = apps / nodes
    return max(abs(fleet.apps[name] - even) / even for name in fleet.names)


async def heartbeat_cpu(fleet: Fleet, rounds: int) -> float:
    """Per cent of a core that the beats of all nodes take, every ``BEAT_SECONDS``."""
    await fleet.beat_all()
    began = time.process_time()
    for _ in range(rounds):
        await fleet.beat_all()
    return 100 * (time.process_time() - began) / (rounds * BEAT_SECONDS)


async def measure(url: str, args: argparse.Namespace) -> dict[str, float | str | int]:
    db = Database(url)
    try:
        await upgrade(db)
        even = await spread(db, args.spread_nodes, args.spread_nodes * 20)
        async with db.write() as conn:
            await conn.execute(placement.delete())
        fleet = Fleet(db, args.nodes)
        await fleet.beat_all()
        await fleet.settle(args.apps)
        await decisions(fleet, 20)
        chose = await decisions(fleet, args.decisions)
        took = await placed(fleet, args.apps + 1, args.decisions)
        cpu = await heartbeat_cpu(fleet, args.rounds)
    finally:
        await db.close()
    return {
        "bench": "nodes",
        "db": args.db,
        "nodes": args.nodes,
        "apps": args.apps,
        "decision_p50_ms": round(statistics.median(chose), 3),
        "decision_p99_ms": _p99(chose),
        "place_p50_ms": round(statistics.median(took), 3),
        "place_p99_ms": _p99(took),
        "spread": round(even, 4),
        "heartbeat_cpu_pct": round(cpu, 2),
    }


def _p99(took: list[float]) -> float:
    return round(statistics.quantiles(took, n=100)[98], 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--db", choices=["sqlite", "postgresql", "mariadb"], default="sqlite")
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--apps", type=int, default=100_000)
    parser.add_argument("--decisions", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=5, help="heartbeats of every node")
    parser.add_argument("--spread-nodes", type=int, default=100)
    parser.add_argument("--edge-moves", type=int, default=200, help="moves that the edge follows; 0: none")
    parser.add_argument("--drain-apps", type=int, default=10, help="apps of the node that is emptied; 0: none")
    args = parser.parse_args()
    with databases(args.db) as (create, _):
        url = create("bench")
        report = uvloop.run(measure(url, args))
    if args.edge_moves:
        report |= edge.measured(args.edge_moves, requests=2_000)
    if args.drain_apps:
        report |= drain.measured(args.drain_apps)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
