"""The job queue, measured over HTTP and beside its own statements: ``python -m benchmarks.queue --db sqlite``.

The server is a process of its own, on uvloop as `funai serve deploy` is; clients are bare sockets in this one. Every app has
its place on a node already, as on a redeploy. What is measured:

* claims: 8 runners, each claims and then works for 0.1 s, at 0 and at 1,000,000 finished rows: two databases and two servers
  beside each other, asked in turns, so that both meet the same machine; ``claim_saturated_…`` is the same without the
  work: eight requests always in hand, so that it measures the line before the server's one core;
* create to claim: 8 runners wait by long poll, one job is created at a time;
* cycles: 8 clients at once, each create, claim, heartbeat, report; over HTTP, and the same statements without it, in turns;
* idle: 100 runners wait, 200 nodes beat every 15 s, and nothing else happens;
* Procrastinate's same four steps on the same PostgreSQL, 8 at once.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.queue_rows import finished_rows, payload, pending_rows, prepare
from benchmarks.rival import procrastinate_cycles
from benchmarks.wire import Wire
from funai.base.observability import log
from funai.contracts.states import JobStatus
from funai.deploy import main as deploy
from funai.deploy.queue.endings import Ending
from funai.deploy.queue.store import NewJob
from funai.deploy.queue.transitions import Holder
from funai.deploy.settings import DeploySettings
from tests.parts.databases import MariaDB, Postgres
from tests.parts.waiting import free_port, tcp_answers, wait_until
from tests.parts.workspace import drop_workspace, new_workspace

PARTS = ("idle", "claims", "cycles")
RUNNERS = 8
CLAIMS = 1600
ROUNDS = 10
"""How often the two servers of the flatness take turns."""
WARM_UP = 80
"""Claims before the measured ones: the first of a process compile its statements."""
WORK_SECONDS = 0.1
"""What a runner works between two claims, on average: 8 of them claim some 70 times a second, a quarter million an hour."""
NODES = 200
BEAT_SECONDS = 15
SECRET = {"X-DEPLOY-SECRET": "bench-secret"}
TOKEN = {"X-Runner-Token": "bench-runner"}
NODE = {"X-RT-Node-Token": "bench-node"}


def settings(url: str, port: int) -> DeploySettings:
    return DeploySettings(
        datasource_url=url,
        port=port,
        proxy_auth_secret="bench-secret",
        runner_token="bench-runner",
        node_registry_secret="bench-node",
        admin_enabled=False,
        datasource_pool=10,
    )


@contextlib.contextmanager
def databases(kind: str) -> Iterator[tuple[Callable[[str], str], Postgres | None]]:
    """A server of its own for the run, or a folder; yields what makes a database of a name and answers its URL."""
    folder = new_workspace("bench")
    part: Postgres | MariaDB | None = None
    try:
        if kind == "sqlite":
            yield lambda name: f"sqlite:///{folder}/{name}.db", None
        else:
            part = Postgres(folder) if kind == "postgresql" else MariaDB(folder)
            part.create()
            yield part.create_database, part if isinstance(part, Postgres) else None
    finally:
        if part is not None:
            part.kill()
        drop_workspace(folder)


@contextlib.contextmanager
def server(url: str) -> Iterator[tuple[int, int]]:
    """Deploy as a process; yields (port, pid)."""
    port = free_port()
    with tempfile.TemporaryFile() as out:
        argv = [sys.executable, "-m", "benchmarks.queue", "--serve", url, str(port)]
        process = subprocess.Popen(argv, stdout=out, stderr=out, cwd=Path(__file__).parents[1])
        try:
            wait_until(lambda: tcp_answers(port) or process.poll() is not None, seconds=60, what="Deploy serves")
            yield port, process.pid
        finally:
            process.terminate()
            process.wait(20)


async def serve(url: str, port: int) -> None:
    log.configure("deploy", json=True)  # as `funai serve` does
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(15, stop.set)
    await deploy.serve(settings(url, port), stop)


# ---------------------------------------------------------------------- measurements


async def together(work: Callable[[int], Awaitable[Any]], count: int = RUNNERS) -> list[Any]:
    return await asyncio.gather(*(work(n) for n in range(count)))


async def claims(port: int, count: int, work_seconds: float) -> list[float]:
    """ms of each of ``count`` claims by 8 runners that work for a random while between them; 0 is not at all."""
    took: list[float] = []

    async def runner(n: int) -> None:
        wire, dice = Wire(port, TOKEN), random.Random(n)
        for _ in range(count // RUNNERS):
            began = time.perf_counter()
            got = await wire.call("POST", "/deploy/jobs/claim", {"runnerId": f"r{n}", "leaseSeconds": 600})
            took.append((time.perf_counter() - began) * 1000)
            assert got, "there was a job to claim"
            if work_seconds:
                await asyncio.sleep(dice.expovariate(1 / work_seconds))
        wire.close()

    await together(runner)
    return took


def p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]


async def create_to_claim(port: int, first_app: int, samples: int = 300) -> float:
    """p99 in ms from before the POST that creates to after the waiting claim's answer."""
    arrived: dict[int, asyncio.Future[float]] = {}
    took: list[float] = []
    done = asyncio.Event()

    async def runner(n: int) -> None:
        wire = Wire(port, TOKEN)
        while not done.is_set():
            got = await wire.call("POST", "/deploy/jobs/claim", {"runnerId": f"r{n}", "leaseSeconds": 600, "waitSeconds": 5})
            if got:
                arrived[got["payload"]["appId"]].set_result(time.perf_counter())
        wire.close()

    async with asyncio.TaskGroup() as tasks:
        for n in range(RUNNERS):
            tasks.create_task(runner(n))
        await asyncio.sleep(0.5)
        wire = Wire(port, SECRET)
        for app in range(first_app, first_app + samples):
            arrived[app] = asyncio.get_running_loop().create_future()
            began = time.perf_counter()
            await wire.call("POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": payload(app)})
            took.append((await arrived[app] - began) * 1000)
            await asyncio.sleep(0.01)
        done.set()
    return statistics.quantiles(took, n=100)[98]


async def http_cycles(port: int, first_app: int, cycles: int) -> float:
    async def client(n: int) -> None:
        api, runner = Wire(port, SECRET), Wire(port, TOKEN)
        for i in range(cycles // RUNNERS):
            app = first_app + n * (cycles // RUNNERS) + i
            await api.call("POST", "/deploy/jobs", {"type": "BUILD_AND_DEPLOY", "payload": payload(app)})
            got = await runner.call("POST", "/deploy/jobs/claim", {"runnerId": f"r{n}"})
            base, who = f"/deploy/jobs/{got['id']}", {"runnerId": f"r{n}", "leaseToken": got["leaseToken"]}
            await runner.call("POST", f"{base}/heartbeat", {**who, "phase": "BUILD"})
            await runner.call("POST", f"{base}/report", {**who, "status": "FAILED", "errorMessage": "bench"})
        api.close()
        runner.close()

    began = time.perf_counter()
    await together(client)
    return cycles / (time.perf_counter() - began)


async def raw_cycles(url: str, first_app: int, cycles: int) -> float:
    """The same statements in the same order, without HTTP."""
    core = deploy.assemble(settings(url, 0), CollectorRegistry())
    store = core.jobs.store

    async def client(n: int) -> None:
        for i in range(cycles // RUNNERS):
            app = first_app + n * (cycles // RUNNERS) + i
            row = await store.create(NewJob("BUILD_AND_DEPLOY", app, app % 50 + 1, payload(app)))
            await store.position(row)
            turn = await store.claim(f"r{n}", 30_000)
            assert turn.claimed is not None
            got = turn.claimed.row
            who = Holder(f"r{n}", got.lease_token)
            await store.heartbeat(got.id, who, 30_000, None, None)
            await store.report(got.id, who, Ending(JobStatus.FAILED, "bench"), None)

    began = time.perf_counter()
    await together(client)
    elapsed = time.perf_counter() - began
    await core.db.close()
    return cycles / elapsed


async def both_cycles(port: int, url: str, cycles: int) -> tuple[float, float]:
    """(over HTTP, raw): medians of three rounds each, in turns, so that both meet the same machine and database."""
    http: list[float] = []
    raw: list[float] = []
    for n in range(3):
        http.append(await http_cycles(port, 20_001 + n * cycles, cycles))
        raw.append(await raw_cycles(url, 40_001 + n * cycles, cycles))
    return statistics.median(http), statistics.median(raw)


async def idle(port: int, pid: int, seconds: float) -> tuple[float, float]:
    """(requests per runner and second, percent of one core) with 100 runners waiting and 200 nodes beating, no job in hand."""
    wires = [Wire(port, TOKEN) for _ in range(100)]
    done = asyncio.Event()

    async def runner(n: int) -> None:
        await asyncio.sleep(n / 100 * 2)
        while not done.is_set():
            await wires[n].call("POST", "/deploy/jobs/claim", {"runnerId": f"idle{n}", "waitSeconds": 50})

    async with beating(port, NODES):
        runners = [asyncio.create_task(runner(n)) for n in range(100)]
        await asyncio.sleep(4)
        before, cpu, began = sum(w.requests for w in wires), cpu_seconds(pid), time.perf_counter()
        await asyncio.sleep(seconds)
        elapsed = time.perf_counter() - began
        requests, used = sum(w.requests for w in wires) - before, cpu_seconds(pid) - cpu
        done.set()
        for task in runners:
            task.cancel()
        await asyncio.gather(*runners, return_exceptions=True)
    for wire in wires:
        wire.close()
    return requests / 100 / elapsed, used / elapsed * 100


@contextlib.asynccontextmanager
async def beating(port: int, nodes: int) -> AsyncIterator[None]:
    """Nodes that beat every 15 seconds, spread out, over connections that they keep, as agents do. All are known at once."""
    wires = [Wire(port, NODE) for _ in range(nodes)]

    async def node(n: int) -> None:
        await asyncio.sleep(n / nodes * BEAT_SECONDS)
        while True:
            await wires[n].call("POST", "/internal/runtime-nodes/heartbeat", beat(n))
            await asyncio.sleep(BEAT_SECONDS)

    await asyncio.gather(*(w.call("POST", "/internal/runtime-nodes/heartbeat", beat(n)) for n, w in enumerate(wires)))
    tasks = [asyncio.create_task(node(n)) for n in range(nodes)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for wire in wires:
            wire.close()


def beat(n: int) -> dict[str, Any]:
    where = {"agentBaseUrl": f"http://10.0.{n // 250}.{n % 250}:7005", "gatewayBaseUrl": f"http://10.0.{n // 250}.{n % 250}"}
    return {"nodeName": f"node-{n}", **where, "diskFreePct": 70, "diskFreeBytes": 10**11, "containerCount": 10}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# ---------------------------------------------------------------------- the run


def say(what: str, result: dict[str, Any]) -> None:
    print(f"{what}: {result}", file=sys.stderr, flush=True)


async def measure(kind: str, create: Callable[[str], str], pg: Postgres | None, args: argparse.Namespace) -> dict[str, Any]:
    result: dict[str, Any] = {"db": kind, "finished_rows": args.rows}
    parts: list[str] = args.part or list(PARTS)
    empty, full = create("bench"), create("bench_full")
    await prepare(empty, 100_000)
    with server(empty) as (port, pid):
        if "idle" in parts:
            result["idle_requests_per_runner_s"], result["idle_cpu_pct"] = await idle(port, pid, args.idle)
            say("idle", result)
        async with beating(port, 1):
            if "claims" in parts:
                await prepare(full, 100_000)
                await finished_rows(full, args.rows)
                with server(full) as (port_full, _):
                    async with beating(port_full, 1):
                        result.update(await flatness({empty: port, full: port_full}))
                say("flatness", result)
                await pending_rows(empty, 80_001, CLAIMS // 2)
                before = cpu_seconds(pid)
                took = await claims(port, CLAIMS // 2, 0)
                result["claim_saturated_p50_ms"], result["claim_saturated_p99_ms"] = statistics.median(took), p99(took)
                result["claim_cpu_ms"] = (cpu_seconds(pid) - before) / (CLAIMS // 2) * 1000
                result["create_to_claim_p99_ms"] = await create_to_claim(port, 10_001)
                say("claims", result)
            if "cycles" in parts:
                result["cycles_per_s"], result["raw_cycles_per_s"] = await both_cycles(port, empty, args.cycles)
                say("cycles", result)
    if pg is not None and "cycles" in parts:
        pg.create_database("rival")
        result["procrastinate_cycles_per_s"] = await procrastinate_cycles(pg.dsn("rival"), RUNNERS, args.cycles)
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in result.items()}


async def flatness(ports: dict[str, int]) -> dict[str, float]:
    """Claims at an empty database and at one of many finished rows, in turns; ``ports`` are their servers' by URL."""
    took: list[list[float]] = [[], []]
    for url, port in ports.items():
        await pending_rows(url, 1, CLAIMS + WARM_UP)
        await claims(port, WARM_UP, 0)
    for _ in range(ROUNDS):
        for one, port in zip(took, ports.values(), strict=True):
            one += await claims(port, CLAIMS // ROUNDS, WORK_SECONDS)
    empty, full = took
    return {
        "claim_p50_ms_empty": statistics.median(empty),
        "claim_p99_ms_empty": p99(empty),
        "claim_p50_ms": statistics.median(full),
        "claim_p99_ms": p99(full),
        "flatness": statistics.median(full) / statistics.median(empty),
    }


def main() -> None:
    if sys.argv[1:2] == ["--serve"]:
        uvloop.run(serve(sys.argv[2], int(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--db", choices=["sqlite", "postgresql", "mariadb"], default="sqlite")
    parser.add_argument("--rows", type=int, default=1_000_000, help="finished rows for the second half (at most a million)")
    parser.add_argument("--cycles", type=int, default=2_000)
    parser.add_argument("--idle", type=float, default=60, help="seconds of idling")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this; may be given again")
    args = parser.parse_args()
    with databases(args.db) as (create, pg):
        result = uvloop.run(measure(args.db, create, pg, args))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
