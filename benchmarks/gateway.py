"""What the gateway costs: ``python -m benchmarks.gateway`` prints one JSON line last.

* ``route_switch_p50_ms, route_switch_p99_ms``: one ``put`` with 10,000 routes in the table, from call to return, after
  which the next request follows the new route (checked: ``stale_answers``);
* ``gateway_overhead_p50_ms``: median of a request through the gateway minus the median of the same request sent to the
  upstream directly, taken in turns over kept-alive connections;
* ``gateway_p50_ms, direct_p50_ms``, and ``replace_all_ms`` for the whole table at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import shutil
import socket
import statistics
import tempfile
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from funai.base.process.ports import free_port
from funai.contracts.routes import Route
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.settings import GatewaySettings

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


def serve(ready: Connection) -> None:
    """A tiny upstream in a process of its own."""

    class Protocol(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport

        def data_received(self, data: bytes) -> None:
            if data.endswith(b"\r\n\r\n"):
                self.transport.write(ANSWER)

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Protocol, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    with suppress(KeyboardInterrupt):
        asyncio.run(main())


class Client:
    """One kept-alive connection, blocking: the clock sees the network and the servers, not an event loop."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()

    def ask(self) -> float:
        """Seconds until the answer is complete."""
        began = time.perf_counter()
        self._socket.sendall(self._request)
        got = b""
        while not got.endswith(b"ok"):
            piece = self._socket.recv(4096)
            if not piece:
                raise ConnectionError("the connection was closed")
            got += piece
        return time.perf_counter() - began

    def close(self) -> None:
        self._socket.close()


def overhead(gateway_port: int, upstream_port: int, path: str, rounds: int) -> tuple[float, float]:
    """(through the gateway, direct): medians in ms."""
    through, direct = Client(gateway_port, path), Client(upstream_port, "/")
    for client in (through, direct) * 200:
        client.ask()
    pairs = [(through.ask(), direct.ask()) for _ in range(rounds)]
    through.close()
    direct.close()
    return statistics.median(p[0] for p in pairs) * 1000, statistics.median(p[1] for p in pairs) * 1000


async def switches(gateway: HaproxyGateway, upstream_port: int, apps: int, count: int) -> tuple[list[float], int]:
    """Times of ``count`` switches in ms, and how many answers came from an earlier generation."""
    took: list[float] = []
    stale = 0
    for n in range(count):
        app_id, generation = 1 + (n * 7919) % apps, 1_000_000 + n
        began = time.perf_counter()
        await gateway.put(Route(app_id, host="127.0.0.1", port=upstream_port, generation=generation))
        took.append((time.perf_counter() - began) * 1000)
        if n % 50 == 0:
            stale += await gateway.serving_generation(app_id, "/", timeout=5) != (200, generation)
    return took, stale


async def measure(folder: Path, upstream_port: int, apps: int, count: int, rounds: int) -> dict[str, object]:
    gateway = HaproxyGateway(GatewaySettings(host="127.0.0.1", port=free_port(), data_dir=folder))
    await gateway.start([])
    try:
        routes = [Route(n, host="127.0.0.1", port=upstream_port, generation=n) for n in range(1, apps + 1)]
        began = time.perf_counter()
        await gateway.replace_all(routes)
        whole = (time.perf_counter() - began) * 1000
        await switches(gateway, upstream_port, apps, 50)
        took, stale = await switches(gateway, upstream_port, apps, count)
        through, direct = await asyncio.to_thread(overhead, gateway.settings.port, upstream_port, f"/runtime/{apps}/", rounds)
    finally:
        await gateway.stop(0)
    return {
        "routes": apps,
        "switches": count,
        "stale_answers": stale,
        "replace_all_ms": round(whole, 1),
        "route_switch_p50_ms": round(statistics.median(took), 3),
        "route_switch_p99_ms": round(statistics.quantiles(took, n=100)[98], 3),
        "gateway_p50_ms": round(through, 3),
        "direct_p50_ms": round(direct, 3),
        "gateway_overhead_p50_ms": round(through - direct, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apps", type=int, default=10_000)
    parser.add_argument("--switches", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5_000)
    asked = parser.parse_args()
    here, there = multiprocessing.Pipe()
    upstream = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    upstream.start()
    folder = Path(tempfile.mkdtemp(prefix="funai-bench-gateway-", dir="/tmp"))
    try:
        print(f"{asked.apps} routes, {asked.switches} switches, {asked.rounds} requests each way …", flush=True)
        result = asyncio.run(measure(folder, here.recv(), asked.apps, asked.switches, asked.rounds))
    finally:
        upstream.terminate()
        upstream.join()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
