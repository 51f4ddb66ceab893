"""The proxy's life: killed, adopted, replaced, ended, and what its owner is told when it can't start."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from funai.base.process.daemon import start_time
from funai.contracts.routes import GatewayError, Route, RouteState
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.haproxy.runtime_api import RuntimeApi
from tests.e2e.gateway.conftest import SettingsFor, StartGateway, StartUpstream, in_flight, route_to
from tests.e2e.gateway.load import load_on
from tests.e2e.gateway.test_streams import open_websocket
from tests.parts.waiting import PATIENCE, eventually, wait_until

OWNER = """
import asyncio, sys
from pathlib import Path
from funai.contracts.routes import Route
from funai.gateway.haproxy.driver import HaproxyGateway
from funai.gateway.settings import GatewaySettings

async def main():
    port, upstream, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    gateway = HaproxyGateway(GatewaySettings(host="127.0.0.1", port=port, data_dir=folder))
    await gateway.start()
    await gateway.put(Route(1, host="127.0.0.1", port=upstream, generation=7))
    print("pid", gateway.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def status(client: httpx.AsyncClient, gateway: HaproxyGateway, app_id: int = 1) -> int:
    """What the app's path answers; 0 when nothing does."""
    with suppress(httpx.HTTPError):
        return (await client.get(f"{gateway.url}/runtime/{app_id}/")).status_code
    return 0


async def test_killed_it_is_back_with_the_latest_routes(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app), route_to(2, app)])
    for _ in range(3):
        await gateway.put(route_to(3, app))
        await gateway.remove(2)
        killed = gateway.pid
        os.kill(killed, signal.SIGKILL)
        # A change in the middle of it is not lost, and is not an error.
        await gateway.put(route_to(4, app))

        async def back() -> bool:
            return await status(client, gateway) == 200

        await eventually(back, what="the proxy is back")
        assert gateway.pid != killed
        assert [await status(client, gateway, n) for n in (1, 2, 3, 4)] == [200, 404, 200, 200]
        assert gateway.healthy
        await gateway.put(route_to(2, app))
        await gateway.remove(4)


async def test_it_outlives_its_owner_and_is_adopted(
    settings_for: SettingsFor, start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, folder: Path
) -> None:
    app = await upstream("1")
    port = settings_for().port
    argv = [sys.executable, "-c", OWNER, str(port), str(app.port), str(folder / "gw")]
    owner = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "src"})
    try:
        assert owner.stdout is not None
        while not (line := (await owner.stdout.readline()).decode()).startswith("pid "):
            assert line
    finally:
        owner.kill()
        await owner.communicate()
    pid = int(line.split()[1])
    assert (await client.get(f"http://127.0.0.1:{port}/runtime/1/")).status_code == 200
    gateway = await start_gateway()
    assert (gateway.pid, gateway.adopted) == (pid, True)
    assert await gateway.serving_generation(1, "/", timeout=5) == (200, 7)
    await gateway.put(route_to(1, app, generation=8))
    assert await gateway.serving_generation(1, "/", timeout=5) == (200, 8)
    os.kill(pid, signal.SIGKILL)  # a proxy that was never our child is watched all the same

    async def back() -> bool:
        return gateway.pid not in (0, pid) and await status(client, gateway) == 200

    await eventually(back, what="the adopted proxy is back")


async def test_an_owner_may_say_at_once_what_the_routes_are(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    first = await start_gateway([route_to(1, app), route_to(2, app)])
    await first.close()
    second = await start_gateway([route_to(2, app), Route(3, RouteState.STOPPED)])
    assert second.adopted
    assert [await status(client, second, n) for n in (1, 2, 3)] == [404, 200, 503]


async def test_with_another_configuration_it_is_replaced_and_loses_nothing(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    first = await start_gateway([route_to(1, app)])
    old = first.pid
    reader, writer = await open_websocket(first, 1)
    held = asyncio.create_task(client.get(f"{first.url}/runtime/1/hold"))
    await in_flight(first, app, 2)
    await first.close()
    second = await start_gateway(retry_after_seconds=9)
    assert second.pid != old
    assert not second.adopted
    assert start_time(old)
    assert await status(client, second) == 200
    # What the old one has in hand can't be told apart: at least one.
    assert await second.connections("127.0.0.1", app.port) == 1
    writer.write(b"still here")
    assert await reader.readexactly(15) == b"echo:still here"
    app.release.set()
    assert (await held).status_code == 200
    writer.close()
    await eventually(lambda: not start_time(old), what="the replaced proxy ends when its work is done")
    assert await second.connections("127.0.0.1", app.port) == 0


async def test_nothing_is_lost_while_it_is_replaced_under_load(
    settings_for: SettingsFor, start_gateway: StartGateway, upstream: StartUpstream
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    url = f"{gateway.url}/runtime/1/"
    async with load_on(url, app) as load:
        for n in range(3):
            await gateway.close()
            gateway = await start_gateway(retry_after_seconds=10 + n)
            await load.goes_on()


async def test_stop_lets_what_is_in_hand_finish(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    pid = gateway.pid
    held = asyncio.create_task(client.get(f"{gateway.url}/runtime/1/hold"))
    await in_flight(gateway, app, 1)
    stopping = asyncio.create_task(gateway.stop(600))
    fresh = httpx.AsyncClient(trust_env=False)

    async def refused() -> bool:
        return await status(fresh, gateway) == 0

    await eventually(refused, what="no new connections")
    app.release.set()
    assert (await held).status_code == 200
    async with asyncio.timeout(9 * PATIENCE):  # the client's connection is still open, but idle: not waited for
        await stopping
    assert not start_time(pid)
    await fresh.aclose()


async def test_stop_does_not_wait_for_ever(start_gateway: StartGateway, upstream: StartUpstream) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    pid = gateway.pid
    _, writer = await open_websocket(gateway, 1)
    async with asyncio.timeout(10 * PATIENCE):
        await gateway.stop(0.2)
    assert not start_time(pid)
    writer.close()


async def test_a_taken_port_is_named_with_its_holder(settings_for: SettingsFor) -> None:
    settings = settings_for()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", settings.port))
        taken.listen()
        gateway = HaproxyGateway(settings)
        with pytest.raises(GatewayError) as e:
            await gateway.start()
        assert f"port {settings.port} is taken by" in str(e.value)
        assert f"(pid {os.getpid()})" in str(e.value)
    await gateway.close()


async def test_an_address_that_is_not_ours_is_said(settings_for: SettingsFor) -> None:
    gateway = HaproxyGateway(settings_for(host="192.0.2.1"))
    with pytest.raises(GatewayError, match=r"192\.0\.2\.1 is not an address of this machine"):
        await gateway.start()


async def test_a_missing_program_is_said(settings_for: SettingsFor) -> None:
    gateway = HaproxyGateway(settings_for(haproxy_bin="no-such-haproxy"))
    with pytest.raises(GatewayError, match="no-such-haproxy is not installed"):
        await gateway.start()


async def test_two_owners_are_one_too_many(
    settings_for: SettingsFor, start_gateway: StartGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funai.gateway.haproxy.files.HOLD_SECONDS", 0.1)
    gateway = await start_gateway([])
    second = HaproxyGateway(settings_for())
    with pytest.raises(GatewayError, match="another process owns the gateway"):
        await second.start()
    assert gateway.healthy


async def test_a_proxy_that_hangs_is_ended_and_started_anew(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    first = await start_gateway([route_to(1, app)])
    hung = first.pid
    await first.close()
    os.kill(hung, signal.SIGSTOP)
    second = await start_gateway()
    assert second.pid != hung
    assert await status(client, second) == 200
    assert not start_time(hung)


async def test_after_a_reboot_old_addresses_are_not_used(
    start_gateway: StartGateway, settings_for: SettingsFor, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    first = await start_gateway([route_to(1, app), Route(2, RouteState.STOPPED)])
    await first.stop(0)
    map_file = settings_for().data_dir / "routes.map"
    map_file.write_text(map_file.read_text().replace("# boot ", "# boot of-yesterday-"))
    second = await start_gateway()
    answer = await client.get(f"{second.url}/runtime/1/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (503, "APP_STARTING")
    assert (await client.get(f"{second.url}/runtime/2/", headers={"Accept": "application/json"})).json()[
        "reason"
    ] == "APP_STOPPED"
    assert not app.requests
    await second.replace_all([route_to(1, app)])
    assert [await status(client, second, n) for n in (1, 2)] == [200, 404]


async def test_the_routes_on_disk_follow(
    start_gateway: StartGateway, settings_for: SettingsFor, upstream: StartUpstream
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([])
    await gateway.put(route_to(5, app, generation=3))
    entry = f"5 s/127.0.0.1/{app.port}/3\n"
    map_file = settings_for().data_dir / "routes.map"
    await eventually(lambda: entry in map_file.read_text(), seconds=5, what="the change reaches the file")
    assert map_file.stat().st_mode & 0o777 == 0o600


async def test_a_table_that_somebody_else_changed_is_read_again(
    start_gateway: StartGateway, settings_for: SettingsFor, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    api = RuntimeApi(settings_for().sockets / "admin.sock")
    assert await api.ask(f"del map {settings_for().data_dir}/routes.map 1") == ""
    api.close()
    assert await status(client, gateway) == 404
    await gateway.put(route_to(1, app, generation=2))
    assert await gateway.serving_generation(1, "/", timeout=5) == (200, 2)
    await eventually(lambda: gateway.healthy, what="the table is certain again")


async def test_a_full_disk_keeps_no_proxy_down(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("funai.gateway.delayed_file.write_whole", full)
    await gateway.put(route_to(2, app))
    await gateway.remove(1)
    os.kill(gateway.pid, signal.SIGKILL)

    async def right() -> bool:
        return gateway.healthy and [await status(client, gateway, n) for n in (1, 2)] == [404, 200]

    await eventually(right, what="the proxy is back with today's routes")


async def test_a_cancelled_change_leaves_the_old_route(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient
) -> None:
    old, new = await upstream("old"), await upstream("new")
    gateway = await start_gateway([route_to(1, old, generation=1)])
    for ticks in range(6):
        change = asyncio.create_task(gateway.put(route_to(1, new, generation=2)))
        for _ in range(ticks):
            await asyncio.sleep(0)
        change.cancel()
        finished = (await asyncio.gather(change, return_exceptions=True))[0] is None
        assert await status(client, gateway) == 200
        await eventually(lambda: gateway.healthy, what="the table is certain again")
        assert await gateway.serving_generation(1, "/", timeout=5) == (200, 2 if finished else 1)
        await gateway.put(route_to(1, old, generation=1))


async def test_a_route_no_proxy_could_follow_is_refused(start_gateway: StartGateway) -> None:
    gateway = await start_gateway([])
    for bad in (
        Route(1, host="127.0.0.1", port=0),
        Route(0, host="127.0.0.1", port=80),
        Route(1, host="no.such.name.invalid", port=80),
    ):
        with pytest.raises(GatewayError):
            await gateway.put(bad)
    assert gateway.healthy


def bound(sock: socket.socket, port: int) -> bool:
    try:
        sock.bind(("127.0.0.1", port))
    except OSError:  # a connection of the dead proxy's is still being taken down
        return False
    return True


async def test_when_the_proxy_stays_away_a_change_is_an_error_and_taken_back(
    start_gateway: StartGateway, upstream: StartUpstream, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funai.gateway.haproxy.route_sync.CHANGE_SECONDS", 0.3)
    app = await upstream("1")
    gateway = await start_gateway([route_to(1, app)])
    pid = gateway.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not start_time(pid), what="it is dead")
    with socket.socket() as thief:
        # Nothing was awaited since the kill: somebody else takes the port before the gateway can start a proxy.
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        wait_until(lambda: bound(thief, gateway.settings.port), what="the port is the thief's")
        thief.listen()
        with pytest.raises(GatewayError, match="did not take the change"):
            await gateway.put(route_to(2, app))
        assert not gateway.healthy
    await eventually(lambda: gateway.healthy, what="the proxy is back once the port is free")
    assert await status(client, gateway, 1) == 200
    assert await status(client, gateway, 2) == 404
