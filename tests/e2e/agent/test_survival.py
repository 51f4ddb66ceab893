"""Killed in the middle: the agent, HAProxy, the engine's service. The old or the new generation serves, never none."""

from __future__ import annotations

import asyncio
import os
import signal

import httpx
import pytest

from funai.agent.engine.docker_api import DockerEngine
from funai.agent.network.networks import network_name
from funai.agent.workload.containers import labels as names
from tests.e2e.agent.agent import Agent, on_docker_in_full
from tests.parts.docker import DockerEngine as DockerPart
from tests.parts.extent import only_in_full
from tests.parts.podman import Podman
from tests.parts.waiting import eventually


class Visitors:
    """Asks the public path again and again; ``failures`` are answers that no visitor should get."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.answers = 0
        self.failures: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def _visit(self) -> None:
        while True:
            try:
                answer = await self.agent.get()
                if answer.status_code != 200:
                    self.failures.append(f"HTTP {answer.status_code}: {answer.text[:200]}")
                self.answers += 1
            except httpx.TransportError as e:
                self.failures.append(repr(e))
            await asyncio.sleep(0.01)

    async def __aenter__(self) -> Visitors:
        self._task = asyncio.create_task(self._visit())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def settled(agent: Agent) -> bool:
    """One container, running, that the gateway serves."""
    status = await agent.status()
    return status["running"] is True and (await agent.get()).status_code == 200


SLOWER = [("podman", 20), ("podman", 150), ("podman", 400), ("docker", 200), ("docker", 500)]


@pytest.mark.parametrize(
    ("agent_process", "after_ms"),
    [
        ("podman", 250),
        *(pytest.param(*case, marks=only_in_full) for case in SLOWER),
    ],
    indirect=["agent_process"],
)
async def test_the_agent_killed_in_a_rollout(agent: Agent, after_ms: int) -> None:
    await agent.deploy(5)
    async with Visitors(agent) as visitors:
        deploying = asyncio.create_task(agent.deploy(6))
        await asyncio.wait({deploying}, timeout=after_ms / 1000)
        agent.process.kill()
        await asyncio.gather(deploying, return_exceptions=True)
        await asyncio.to_thread(agent.process.start)
        await eventually(lambda: settled(agent), what="it serves")
        assert (await agent.status())["generation"] in (5, 6)
        assert (await agent.deploy(7)).status_code == 200
    assert visitors.failures == []
    assert visitors.answers > 5


@on_docker_in_full
async def test_haproxy_killed_in_a_rollout(agent: Agent) -> None:
    await agent.deploy(5)
    deploying = asyncio.create_task(agent.deploy(6))
    await asyncio.wait({deploying}, timeout=0.15)
    for pid in agent.process.haproxy_pids:
        os.kill(pid, signal.SIGKILL)
    answer = await deploying
    assert answer.status_code == 200, answer.text

    async def serves() -> bool:
        try:
            return (await agent.get()).status_code == 200
        except httpx.TransportError:
            return False

    await eventually(serves, seconds=5, what="the gateway is back with the route")
    assert (await agent.status())["generation"] == 6


@only_in_full  # a killed agent is in every run
async def test_the_engines_service_restarted_in_a_rollout(agent: Agent, podman: Podman) -> None:
    await agent.deploy(5)
    async with Visitors(agent) as visitors:
        deploying = asyncio.create_task(agent.deploy(6))
        await asyncio.wait({deploying}, timeout=0.1)
        await asyncio.to_thread(podman.service.kill)
        await asyncio.to_thread(podman.service.start)
        answer = await deploying
        assert answer.status_code in (200, 502), answer.text
        await eventually(lambda: settled(agent), what="it serves")
        assert (await agent.deploy(7)).status_code == 200
    assert visitors.failures == []


@on_docker_in_full
async def test_good_and_bad_redeploys_drop_no_request(agent: Agent) -> None:
    await agent.deploy(1)
    async with Visitors(agent) as visitors:
        for generation in range(2, 8):
            answer = await agent.deploy(generation)
            assert answer.status_code == 200, answer.text
            assert (await agent.deploy(generation, "exits")).status_code in (409, 422)
    assert visitors.failures == []


async def test_an_app_container_that_is_killed_comes_back(agent: Agent, podman: Podman) -> None:
    await agent.deploy(5)
    podman.cli("kill", f"rt-u-1-{agent.app}.{agent.process.instance}")
    await eventually(lambda: settled(agent), seconds=30, what="it serves again")


@pytest.mark.parametrize("agent_process", ["docker"], indirect=True)
async def test_docker_restarted_with_all_its_containers_ended(agent: Agent, docker_engine: DockerPart) -> None:
    """Without live-restore Docker ends its containers with itself: the agent brings the app back, and rolls out again."""
    await agent.deploy(5)
    await asyncio.to_thread(docker_engine.restart)
    await eventually(lambda: settled(agent), seconds=60, what="it serves again")
    assert (await agent.deploy(6)).status_code == 200


@only_in_full  # a killed container comes back in every run
async def test_an_app_removed_by_hand_with_its_network_comes_back(agent: Agent, podman: Podman) -> None:
    await agent.deploy(5, env={"GREETING": "kept-here"})
    engine = DockerEngine(str(agent.process.socket))
    labels = {names.APP_ID: str(agent.app), names.INSTANCE: agent.process.instance}
    (box,) = await engine.containers(labels)
    podman.cli("network", "rm", "--force", network_name(agent.app, agent.process.instance))

    async def back() -> bool:
        return "GREETING=kept-here" in (await agent.get("cgi-bin/status")).text

    await eventually(back, seconds=40, every=0.2, what="it serves again")
    (again,) = await engine.containers(labels)
    await engine.close()
    assert (again.name, again.labels[names.GENERATION]) == (box.name, "5")
