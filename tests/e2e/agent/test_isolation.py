"""An app that tries: other apps, the agent, anything else on the host. And what it must still reach."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from funai.agent.engine.contract import Container
from funai.agent.engine.docker_api import DockerEngine
from funai.agent.network.networks import bridge_of
from tests.e2e.agent.agent import Agent, Process, on_docker_in_full, visiting
from tests.e2e.agent.conftest import NewAgent
from tests.e2e.agent.images import image
from tests.parts.extent import only_in_full
from tests.parts.podman import Podman
from tests.parts.waiting import eventually, free_port


@contextmanager
def listening(host: str, port: int = 0) -> Iterator[int]:
    with socket.create_server((host, port)) as server:
        yield int(server.getsockname()[1])


async def tries(agent: Agent, target: str) -> str:
    return (await agent.get(f"cgi-bin/try?{target}")).text.strip()


async def address_of(agent: Agent, app: int) -> str:
    return (await container_of(agent, app)).address


async def container_of(agent: Agent, app: int) -> Container:
    engine = DockerEngine(str(agent.process.socket))
    try:
        labels = {"funai.instance": agent.process.instance, "funai.appId": str(app)}
        return (await engine.containers(labels))[0]
    finally:
        await engine.close()


def writable_files_of_the_host(pid: int) -> list[str]:
    """Where a process has a file or folder of the host's own file systems that it may write to, beside its root."""
    mounts: dict[str, tuple[str, str]] = {}
    for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
        root, target, options = line.split()[3:6]
        mounts[target] = root, options  # the last one is on top
    return [
        f"{root} at {target}"
        for target, (root, options) in mounts.items()
        if root != "/" and target != "/" and "ro" not in options.split(",") and not target.startswith(("/proc/", "/dev/"))
    ]


@on_docker_in_full
async def test_apps_reach_neither_each_other_nor_the_host(agent: Agent) -> None:
    neighbour = agent.app + 100_000
    for app in (agent.app, neighbour):
        answer = await agent.deploy(5, app=app)
        assert answer.status_code == 200, answer.text
    mine = await container_of(agent, agent.app)
    assert not writable_files_of_the_host(mine.pid)
    own, other = mine.address, await address_of(agent, neighbour)
    assert await tries(agent, f"{own}:3000") == "open"
    assert await tries(agent, f"{other}:3000") == "closed"
    for host in (bridge_of(own), bridge_of(other)):
        assert await tries(agent, f"{host}:{agent.process.gateway_port}") == "closed"
        with listening("0.0.0.0") as port:
            assert await tries(agent, f"{host}:{port}") == "closed"
    await agent.post("delete", neighbour)


async def test_the_hosts_own_addresses_are_closed_but_for_the_allow_list(walled: tuple[Process, int]) -> None:
    process, database = walled
    host = _own_address()
    async with visiting(process, 1) as agent:
        with listening(host, database), listening(host) as private:
            assert (await agent.deploy(5)).status_code == 200
            assert await tries(agent, f"{host}:{database}") == "open"
            assert await tries(agent, f"{host}:{private}") == "closed"


@pytest.fixture
def walled(new_agent: NewAgent) -> tuple[Process, int]:
    """An agent whose apps may reach one port of this host."""
    port = free_port(_own_address())
    return new_agent(app_allow=[f"{_own_address()}:{port}"]), port


@only_in_full  # the same wall without containers is in test_firewall.py
async def test_apps_in_a_shared_network_reach_no_port_of_the_host_but_the_proxy_there_does(
    new_agent: NewAgent, podman: Podman
) -> None:
    network, proxy, host = f"web-{free_port()}", f"proxy-{free_port()}", _own_address()
    try:
        async with visiting(new_agent(docker_network=network), 1) as agent:
            assert (await agent.deploy(5)).status_code == 200
            podman.cli("run", "--detach", "--name", proxy, "--network", network, image("web"))
            with listening(host) as private:
                assert await tries(agent, f"{host}:{private}") == "closed"
                talk = f"nc -w 2 {host} {private} -e /bin/echo 2>/dev/null && echo open"
                words = ("exec", proxy, "/bin/sh", "-c", talk)
                await eventually(
                    lambda: podman.cli(*words, check=False) == "open", seconds=30, what="the proxy reaches the host"
                )
    finally:
        podman.cli("rm", "--force", "--time", "0", proxy, check=False)
        podman.cli("network", "rm", "--force", network, check=False)


async def test_requests_for_an_app_that_is_down_do_not_leave_this_host(agent: Agent) -> None:
    """Its bridge is gone with its last container: the default route would take them to whoever is there."""
    await agent.deploy(5)
    address = await address_of(agent, agent.app)
    await agent.post("stop")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, 3000), timeout=0.5).close()


async def test_names_still_resolve(agent: Agent, podman: Podman) -> None:
    await agent.deploy(5)
    name = f"rt-u-1-{agent.app}.{agent.process.instance}"
    answer = (await agent.get(f"cgi-bin/resolve?{podman.cli('ps', '-q', '--filter', f'name={name}')}")).text
    assert await address_of(agent, agent.app) in answer


async def test_an_engine_that_pushes_in_front_is_put_back_behind(agent: Agent) -> None:
    """What Docker and netavark do at their start."""
    rule = ("-i", "funai-none", "-j", "ACCEPT")
    _iptables("-I", "INPUT", "1", *rule)
    try:

        def first() -> bool:
            lines = [line for line in _iptables("-S", "INPUT").splitlines() if line.startswith("-A")]
            ours = [i for i, line in enumerate(lines) if "FUNAI-" in line]
            return bool(ours) and ours[0] < next(i for i, line in enumerate(lines) if "funai-none" in line)

        await eventually(first, seconds=40, every=0.5, what="our rule is in front again")
    finally:
        _iptables("-D", "INPUT", *rule)


def _iptables(*words: str) -> str:
    return subprocess.run(["iptables", "-w", *words], capture_output=True, text=True, check=True).stdout


def _own_address() -> str:
    """The address this host would go out with."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.254", 9))
        return str(sock.getsockname()[0])
