"""What an edge costs: ``python -m benchmarks.edge`` prints one JSON line last.

* ``edge_follow_p50_ms, edge_follow_p99_ms``: from the commit that moves an app to the first request through the edge that its
  new node answers, the commit itself not counted;
* ``edge_overhead_p50_ms``: median of a request through the edge minus the median of the same request sent to the node's
  gateway directly, taken in turns over kept-alive connections;
* ``edge_floor_p50_ms``: the same of a HAProxy with no rules at all in the edge's place: what any second hop costs here and now;
* ``edge_p50_ms, direct_p50_ms``.

Deploy runs in a process of its own, on SQLite unless ``--database`` names another. The gateways of two nodes and the edge are
HAProxy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncConnection

from benchmarks.gateway import Client, serve
from funai.base.aio import bind, serving
from funai.base.clients.deploy import NodeDeployClient
from funai.base.db.engine import Database, sqlite_url
from funai.base.process.ports import free_port
from funai.base.process.programs import find_program
from funai.contracts.nodes import NodeHeartbeat
from funai.contracts.routes import Route, RouteState
from funai.deploy import main as deploy_main
from funai.deploy.placement import store
from funai.deploy.settings import DeploySettings
from funai.gateway.edge.main import open_follower, open_shown
from funai.gateway.edge.settings import EdgeSettings
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.settings import GatewaySettings
from tests.parts.waiting import tcp_answers, wait_until

SECRET = "bench-secret"
APP = 7
PATH = f"/runtime/{APP}/"


def deploy(ready: Connection, url: str) -> None:
    """A Deploy that listens on a free port."""
    secret = SecretStr(SECRET)
    settings = DeploySettings(
        datasource_url=url,
        proxy_auth_secret=secret,
        admin_token=secret,
        node_registry_secret=secret,
        runner_token=secret,
        agent_token=secret,
        edge_secret=secret,
    )

    async def main() -> None:
        app = deploy_main.build(settings)
        async with deploy_main.running(app.state.core), serving(app, bind("127.0.0.1", 0)) as port:
            ready.send(port)
            await asyncio.Event().wait()

    with suppress(KeyboardInterrupt):
        asyncio.run(main())


class Bench:
    """Two nodes whose gateways serve one app from two upstreams, and an edge before them."""

    def __init__(self, root: Path, url: str, deploy_port: int, upstreams: list[int]) -> None:
        self.db = Database(url)
        self.deploy_url = f"http://127.0.0.1:{deploy_port}"
        self.upstreams = upstreams
        self.nodes = [HaproxyGateway(self._settings(root / f"n{n}", ["127.0.0.1"])) for n in range(len(upstreams))]
        settings, registry = self._settings(root / "edge"), CollectorRegistry()
        edge = EdgeSettings(deploy_base_urls=[self.deploy_url], token=SecretStr(SECRET))
        self.shown = open_shown(edge, settings, registry)
        self.follower = open_follower(edge, settings, self.shown, registry)
        self.port = settings.port
        self.ids: list[int] = []

    def _settings(self, folder: Path, trusted: list[str] | None = None) -> GatewaySettings:
        given = {"host": "127.0.0.1", "port": free_port(), "access_log": False}
        return GatewaySettings.model_validate({**given, "data_dir": folder, "trusted_proxies": trusted or []})

    async def start(self) -> None:
        client = NodeDeployClient(self.deploy_url, SECRET)
        for n, node in enumerate(self.nodes):
            await node.start([Route(APP, host="127.0.0.1", port=self.upstreams[n], generation=n + 1)])
            beat = NodeHeartbeat(node_name=f"n{n}", agent_base_url=f"http://n{n}:7005", gateway_base_url=node.url)
            answer = await client.heartbeat(beat)
            assert answer is not None
            self.ids.append(answer.node_id)
        await client.close()
        await self.db.retrying(lambda conn: store.settle(conn, APP, self.ids[0], 1, 1))
        await self.follower.start()

    async def move(self, node_id: int) -> None:
        async def work(conn: AsyncConnection) -> None:
            await store.move(conn, APP, node_id, 1)

        await self.db.retrying(work)

    async def close(self) -> None:
        await self.shown.stop()
        await self.follower.close()
        for node in self.nodes:
            await node.stop(0)
        await self.db.close()


async def follow(bench: Bench, moves: int) -> list[float]:
    """Milliseconds from each move's commit to the edge's first answer by the new node. Only that node has the app running."""
    taken: list[float] = []
    for n in range(1, moves + 1):
        target, source = n % 2, (n - 1) % 2
        await bench.nodes[target].put(Route(APP, host="127.0.0.1", port=bench.upstreams[target], generation=n))
        await bench.nodes[source].put(Route(APP, RouteState.STOPPED))
        await bench.move(bench.ids[target])
        began = time.perf_counter()
        while not await asyncio.to_thread(_runs, bench.port):
            pass
        taken.append((time.perf_counter() - began) * 1000)
    return taken


def _runs(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", PATH)
        return connection.getresponse().status == 200
    finally:
        connection.close()


BARE = """defaults
 mode http
 timeout connect 5s
 timeout client 1m
 timeout server 1m
listen bare
 bind 127.0.0.1:{port}
 server node 127.0.0.1:{node}
"""
"""A gateway that only forwards."""


@contextmanager
def bare(folder: Path, node: int) -> Iterator[int]:
    """The port of a HAProxy without rules before a node's gateway."""
    port, program = free_port(), find_program("haproxy")
    assert program, "haproxy is missing; `make setup-test` installs it"
    file = folder / "bare.cfg"
    file.write_text(BARE.format(port=port, node=node))
    process = subprocess.Popen([program, "-db", "-q", "-f", file])
    try:
        wait_until(lambda: tcp_answers(port), seconds=10, what="the bare HAProxy serves")
        yield port
    finally:
        process.terminate()
        process.wait()


async def overhead(bench: Bench, folder: Path, rounds: int) -> tuple[float, float, float]:
    """Median milliseconds (through the edge, through a HAProxy without rules, straight to the node)."""
    (node,) = [n.settings.port for n in bench.nodes if await asyncio.to_thread(_runs, n.settings.port)]

    def measure() -> tuple[float, float, float]:
        with bare(folder, node) as floor:
            ways = [Client(port, PATH) for port in (bench.port, floor, node)]
            for client in ways * 200:
                client.ask()
            rows = [[client.ask() for client in ways] for _ in range(rounds)]
            for client in ways:
                client.close()
        edge, least, direct = (statistics.median(row[n] for row in rows) * 1000 for n in range(3))
        return edge, least, direct

    return await asyncio.to_thread(measure)


async def run(root: Path, url: str, deploy_port: int, upstreams: list[int], moves: int, requests: int) -> dict[str, float]:
    bench = Bench(root, url, deploy_port, upstreams)
    await bench.start()
    stop = asyncio.Event()
    following = asyncio.create_task(bench.follower.run(stop))
    try:
        taken = sorted(await follow(bench, moves))
        edge_ms, floor_ms, direct_ms = await overhead(bench, root, requests)
    finally:
        stop.set()
        await following
        await bench.close()
    return {
        "edge_follow_p50_ms": round(statistics.median(taken), 2),
        "edge_follow_p99_ms": round(taken[min(len(taken) - 1, int(len(taken) * 0.99))], 2),
        "edge_overhead_p50_ms": round(edge_ms - direct_ms, 3),
        "edge_floor_p50_ms": round(floor_ms - direct_ms, 3),
        "edge_p50_ms": round(edge_ms, 3),
        "direct_p50_ms": round(direct_ms, 3),
        "moves": moves,
    }


def measured(moves: int, requests: int, database: str = "") -> dict[str, float]:
    """The figures of this module. ``database`` is an empty database's URL; without it SQLite in a folder of its own."""
    root = Path(tempfile.mkdtemp(prefix="funai-edge-"))
    url = database or sqlite_url(root / "deploy.db")
    spawn = multiprocessing.get_context("spawn")
    processes: list[SpawnProcess] = []
    ports: list[int] = []
    try:
        for target, extra in ((serve, ()), (serve, ()), (deploy, (url,))):
            mine, theirs = spawn.Pipe()
            process = spawn.Process(target=target, args=(theirs, *extra), daemon=True)
            process.start()
            processes.append(process)
            ports.append(mine.recv())
        return asyncio.run(run(root, url, ports[2], ports[:2], moves, requests))
    finally:
        for process in processes:
            process.terminate()
            process.join()
        shutil.rmtree(root, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--database", default="", help="an empty database's URL; default: SQLite in a folder of its own")
    args = parser.parse_args()
    print(json.dumps(measured(args.moves, args.requests, args.database)))


if __name__ == "__main__":
    main()
