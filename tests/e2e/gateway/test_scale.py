"""Ten thousand routes."""

from __future__ import annotations

import asyncio

import httpx

from funai.contracts.routes import Route
from tests.e2e.gateway.conftest import StartGateway, StartUpstream, route_to

APPS = 10_000


async def test_ten_thousand_routes(start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient) -> None:
    app = await upstream("x")
    routes = [route_to(n, app, generation=n) for n in range(1, APPS + 1)]
    gateway = await start_gateway([])
    await gateway.replace_all(routes)
    for n in (1, 10, 5_000, APPS):
        assert await gateway.serving_generation(n, "/", timeout=5) == (200, n)
    for n in range(1, 201):  # how long one takes, benchmarks/gateway.py says
        await gateway.put(Route(n * 50, host="127.0.0.1", port=app.port, generation=100_000 + n))
    assert await gateway.serving_generation(5_000, "/", timeout=5) == (200, 100_100)
    # Half of them go, one moves: one transaction, in which nobody else's route is ever missing.
    stays = asyncio.create_task(_always_answers(client, f"{gateway.url}/runtime/1/"))
    for keep in (1, 2):
        await gateway.replace_all([r for r in routes if r.app_id % 2 == 1 or keep == 2])
        assert not stays.done()
    await gateway.replace_all(routes[:100])
    stays.cancel()
    assert [await gateway.serving_generation(n, "/", timeout=5) for n in (100, 101)] == [(200, 100), (404, 0)]
    await gateway.close()
    again = await start_gateway()
    assert again.adopted
    assert await again.serving_generation(100, "/", timeout=5) == (200, 100)


async def _always_answers(client: httpx.AsyncClient, url: str) -> None:
    while True:
        assert (await client.get(url)).status_code == 200


async def test_many_apps_are_switched_at_once(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    old, new = await upstream("old"), await upstream("new")
    gateway = await start_gateway([route_to(n, old) for n in range(1, 101)])
    async with asyncio.TaskGroup() as group:
        for n in range(1, 101):
            group.create_task(gateway.put(route_to(n, new, generation=2)) if n % 2 else gateway.remove(n))
    for n in (1, 51, 99):
        assert await gateway.serving_generation(n, "/", timeout=5) == (200, 2)
    for n in (2, 50, 100):
        assert (await gateway.serving_generation(n, "/", timeout=5))[0] == 404
