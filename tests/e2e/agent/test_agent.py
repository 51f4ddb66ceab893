"""The agent on real Podman behind a real HAProxy: what its callers and the public see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiodocker
import pytest

from funai.agent.engine.docker_api import DockerEngine
from funai.agent.workload.containers import labels
from tests.e2e.agent.agent import Agent, on_both_engines, on_docker_in_full, on_podman_in_full
from tests.e2e.agent.images import image
from tests.parts.extent import only_in_full
from tests.parts.podman import Podman
from tests.parts.waiting import eventually

STATUS = "cgi-bin/status"


@on_podman_in_full
async def test_a_life_through_the_gateway(agent: Agent) -> None:
    answer = await agent.deploy(5, env={"COLOUR": "red and blue"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["verified"] is True
    page = await agent.get()
    assert (page.status_code, page.text) == (200, "web\n")
    inside = (await agent.get(STATUS)).text
    assert "COLOUR=red and blue" in inside
    assert "\nPORT=" not in inside
    assert (await agent.status())["running"] is True
    assert (await agent.deploy(6)).status_code == 200
    assert (await agent.status())["generation"] == 6
    assert (await agent.post("stop")).status_code == 200
    assert (await agent.get()).status_code == 503
    assert (await agent.post("start")).status_code == 200
    assert (await agent.get()).text == "web\n"
    assert (await agent.post("delete")).status_code == 200
    assert (await agent.get()).status_code == 404


@on_both_engines
async def test_limits_and_privileges_are_taken_away_by_default(agent: Agent) -> None:
    await agent.deploy(5)
    inside = (await agent.get(STATUS)).text
    kept = next(int(line.split()[1], 16) for line in inside.splitlines() if line.startswith("CapBnd:"))
    # CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10
    assert kept == sum(1 << bit for bit in (0, 1, 3, 5, 6, 7, 10))
    assert "NoNewPrivs:\t1" in inside
    engine = DockerEngine(str(agent.process.socket))
    box = (await engine.containers({labels.APP_ID: str(agent.app), labels.INSTANCE: agent.process.instance}))[0]
    await engine.close()
    async with aiodocker.Docker(url=f"unix://{agent.process.socket}") as docker:
        raw = await docker.containers.container(box.id).show()
    limits = raw["HostConfig"]
    assert limits["Memory"] == 96 << 20
    assert limits["NanoCpus"] == 1_000_000_000
    assert limits["PidsLimit"] == 256
    ours = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"}
    assert all(not mount["RW"] for mount in raw["Mounts"])
    assert {mount["Destination"] for mount in raw["Mounts"]} <= ours


async def test_a_prebuilt_image_on_port_80_works(agent: Agent) -> None:
    answer = await agent.deploy(5, "port80", containerPort=80)
    assert answer.status_code == 200, answer.text
    assert (await agent.get()).text == "web\n"


@pytest.mark.parametrize(
    ("agent_process", "temper", "code", "words"),
    [
        pytest.param("podman", "exits", "APP_EXITED", "exit status 3", marks=only_in_full),
        ("podman", "hungry", "APP_OUT_OF_MEMORY", "96 MiB"),
        ("podman", "loopback", "APP_NOT_LISTENING", "listens on 127.0.0.1:3000 only"),
        ("podman", "crlf", "APP_EXITED", "/crlf.sh: its first line ends in CR"),
        ("podman", "noshell", "APP_EXITED", "/noshell.sh needs /bin/nosuch, which is not in the image"),
        pytest.param("podman", "noexec", "APP_EXITED", "/noexec.sh is not executable (chmod +x)", marks=only_in_full),
        pytest.param("podman", "arm64", "APP_EXITED", "/arm64 is built for arm64, this node is amd64", marks=only_in_full),
        ("podman", "broken", "APP_UNHEALTHY", "HTTP 503"),
        pytest.param(
            "podman",
            "nouser",
            "IMAGE_UNUSABLE",
            "the engine says: unable to find user nosuchuser: no matching entries",
            marks=only_in_full,
        ),
        ("docker", "nogroup", "IMAGE_UNUSABLE", "the engine says: unable to find group nosuchgroup: no matching entries"),
        pytest.param("docker", "crlf", "APP_EXITED", "/crlf.sh: its first line ends in CR", marks=only_in_full),
        pytest.param("docker", "exits", "APP_EXITED", "exit status 3", marks=only_in_full),
        pytest.param("docker", "hungry", "APP_OUT_OF_MEMORY", "96 MiB", marks=only_in_full),
    ],
    indirect=["agent_process"],
)
async def test_a_bad_one_is_told_why_and_the_old_one_serves_on(agent: Agent, temper: str, code: str, words: str) -> None:
    await agent.deploy(5)
    before = await agent.status()
    answer = await agent.deploy(6, temper, health={"timeoutSeconds": 20 if temper == "hungry" else 5})
    assert answer.status_code == 422, answer.text
    detail = answer.json()["detail"]
    assert (detail["code"], words in detail["message"]) == (code, True), detail
    if temper == "exits":
        assert set(detail["logTail"]) == {"about to fail", "no such module"}  # once or more: the engine restarts it
    assert await agent.status() == before
    assert (await agent.get()).text == "web\n"


@on_docker_in_full
async def test_an_image_that_must_be_process_1_runs(agent: Agent) -> None:
    answer = await agent.deploy(5, "pid1")
    assert answer.status_code == 200, answer.text
    assert (await agent.get()).text == "web\n"


async def test_an_app_behind_a_shell_ends_in_its_own_time(agent: Agent) -> None:
    await agent.deploy(5, "wrapped")
    assert (await agent.post("stop")).status_code == 200
    said = (await agent.http.get("/agent/apps/logs", params={"userId": 1, "appId": agent.app})).text
    assert said.split() == ["TERM", "bye"]


async def test_the_one_other_port_that_an_app_listens_on_is_served_and_told(agent: Agent) -> None:
    answer = await agent.deploy(5, "port80", health={"timeoutSeconds": 5})
    assert (answer.status_code, answer.json()["port"]) == (200, 80), answer.text
    assert "the app listens on port 80, not on 3000" in answer.json()["notes"][0]
    assert (await agent.get()).text == "web\n"
    again = await agent.deploy(6, "port80")
    assert again.json()["port"] == 80
    assert again.json()["timingsMs"]["healthy"] < 1000 * 15, "the next release begins with what was found"


async def test_an_image_that_is_nowhere(agent: Agent) -> None:
    answer = await agent.post("deploy", image="127.0.0.1:1/no/such:1")
    assert (answer.status_code, answer.json()["detail"]["code"]) == (422, "IMAGE_NOT_FOUND")
    assert (await agent.get()).status_code == 404


@on_docker_in_full
async def test_a_request_in_flight_outlives_the_switch(agent: Agent) -> None:
    await agent.deploy(5)
    switched = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"a line"
        await switched.wait()
        yield b"\n"

    slow = asyncio.create_task(
        agent.public.post(f"/runtime/{agent.app}/cgi-bin/slow", content=body(), headers={"Content-Length": "7"})
    )
    await eventually(lambda: agent.get(STATUS), what="the app answers beside it")
    assert (await agent.deploy(6)).status_code == 200
    assert not slow.done()
    switched.set()
    assert (await slow).text == "begun\nfinished\n"


@only_in_full  # tests/service/agent has it on the scripted engine
async def test_an_app_that_keeps_crashing_is_reported(agent: Agent) -> None:
    await agent.deploy(5, "crashes")

    async def looping() -> bool:
        status = await agent.status()
        return bool(status["crashLooping"]) and status["restartCount"] >= 3

    await eventually(looping, seconds=40, every=0.2, what="the crash loop is seen")


async def test_logs_while_it_runs(agent: Agent) -> None:
    await agent.deploy(5, "crashes")

    async def crashed() -> bool:
        answer = await agent.http.get("/agent/apps/logs", params={"userId": 1, "appId": agent.app, "tail": 5})
        return "crashing" in answer.text

    await eventually(crashed, what="its output is there")


@only_in_full  # tests/service/agent has it on the scripted engine
async def test_deleting_an_app_takes_its_own_images_along_and_no_other(agent: Agent, podman: Podman) -> None:
    own, older, others = (f"127.0.0.1:1/ns/u1-app{agent.app}{rest}" for rest in (":b", ":a", "0:a"))
    shared = "127.0.0.1:1/library/web:1"
    for temper, name in (("port80", own), ("web", older), ("exits", others), ("idle", shared)):
        made = podman.cli("create", image(temper))  # an image of its own: the tests' others have two names
        podman.cli("commit", "--quiet", made, name)
        podman.cli("rm", made)
    for generation, name, port in ((5, older, 3000), (6, own, 80)):
        answer = await agent.post("deploy", generation=generation, image=name, containerPort=port)
        assert answer.status_code == 200, answer.text
    assert set((await agent.post("delete")).json()["images"]) == {own, older}
    left = podman.cli("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert {others, shared} <= set(left)
    assert not {own, older} & set(left)
    podman.cli("rmi", others, shared)
