"""A proxy that stands still, or dies together with its owner."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import httpx

from funai.base.process.daemon import start_time
from funai.gateway.haproxy.driver import HaproxyGateway
from tests.e2e.gateway.conftest import SettingsFor, StartGateway, StartUpstream, route_to
from tests.e2e.gateway.test_life import OWNER, status
from tests.parts.waiting import eventually


async def test_a_change_that_was_sent_and_cancelled_is_undone_when_the_proxy_gets_to_it(
    start_gateway: StartGateway, upstream: StartUpstream
) -> None:
    """The proxy stands still with the command in its socket: it executes it after its caller was told that it was cancelled."""
    old, new = await upstream("old"), await upstream("new")
    gateway = await start_gateway([route_to(1, old, generation=1)])
    assert await gateway.serving_generation(1, "/", timeout=5) == (200, 1)
    await gateway.put(route_to(1, old, generation=1))  # waits for what the start still tells the proxy
    os.kill(gateway.pid, signal.SIGSTOP)
    try:

        async def sent_and_cancelled() -> bool:
            changes = [asyncio.create_task(gateway.put(route_to(n, new, generation=2))) for n in (1, 2)]
            await asyncio.wait(changes, timeout=1)
            for change in changes:
                change.cancel()
            await asyncio.gather(*changes, return_exceptions=True)
            return not gateway.healthy

        await eventually(sent_and_cancelled, what="a change was sent before it was cancelled")
    finally:
        os.kill(gateway.pid, signal.SIGCONT)
    await eventually(lambda: gateway.healthy, what="the table is certain again")
    assert await gateway.serving_generation(1, "/", timeout=5) == (200, 1)
    assert (await gateway.serving_generation(2, "/", timeout=5))[0] == 404


async def test_a_frozen_proxy_is_replaced(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    frozen = gateway.pid
    os.kill(frozen, signal.SIGSTOP)

    async def served() -> bool:
        async with httpx.AsyncClient(trust_env=False, timeout=1) as http:
            return await status(http, gateway) == 200

    await eventually(served, seconds=30, what="another one serves on the same port")
    assert gateway.pid != frozen
    assert not start_time(frozen)


async def test_proxy_and_owner_killed_together_the_keeper_has_the_proxy_back(
    settings_for: SettingsFor, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    settings = settings_for(keeper=True)
    program = OWNER.replace("data_dir=folder", "data_dir=folder, keeper=True")
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(settings.port), str(app.port), str(settings.data_dir), stdout=subprocess.PIPE
    )
    assert owner.stdout
    while not (line := (await owner.stdout.readline()).decode()).startswith("pid "):
        assert line, "the owner ended"
    pid = int(line.split()[1])
    gateway = HaproxyGateway(settings)
    await eventually(lambda: "1 s/" in (settings.data_dir / "routes.map").read_text(), what="the route is on disk")
    owner.kill()
    os.kill(pid, signal.SIGKILL)
    await owner.wait()

    async def back() -> bool:
        return await status(client, gateway) == 200

    await eventually(back, what="the keeper started another one")
    again = int((settings.data_dir / "haproxy.pid").read_text())
    assert again != pid
    await gateway.start()
    assert (gateway.adopted, gateway.pid) == (True, again)
    os.kill(again, signal.SIGKILL)  # with an owner alive, it is the owner's to start
    await eventually(lambda: gateway.pid not in (0, again), what="the owner has it back")
    await gateway.stop(0)
    for gone in ("haproxy.pid", "run/keeper.json"):
        assert not (settings.data_dir / gone).exists()
