"""The same Runner with Docker's classic builder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from funai.runner.settings import MIB
from tests.e2e.runner.test_failures import failed
from tests.e2e.runner.world import MakeWorld, World, processes
from tests.parts.docker import DockerEngine
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually

BASE = "FROM node:20-bookworm-slim\n"
SECONDS = "9754"
"""Not the one that this lane's neighbour looks for on the same host."""
WRITES = BASE + "RUN for i in $(seq 999); do dd if=/dev/zero of=/f$i bs=1M count=16 2>/dev/null; done\n"


async def test_docker_builds_pushes_and_is_cancelled(
    make_world: MakeWorld, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker_engine.socket}")
    world: World = await make_world(sandbox="off", engine="docker")
    bare = world.repo("app", {"Dockerfile": BASE + "COPY a /a\n", "a": "1"})
    job = world.build(bare)
    report = await world.ended(job)
    assert report["status"] == "SUCCEEDED", report
    assert world.agent.deploys[-1]["image"].endswith(report["result"]["digest"])
    again = await world.ended(world.build(bare, appId=job))
    assert again["result"]["built"] is False and again["result"]["digest"] == report["result"]["digest"]
    endless = world.build(world.repo("endless", {"Dockerfile": BASE + f"RUN sleep {SECONDS}\n"}))
    await eventually(lambda: processes(SECONDS), seconds=30)
    world.deploy.status[endless] = "CANCELLED"
    await world.nothing_left(SECONDS)
    await eventually(lambda: docker_engine.cli("ps", "--all", "--quiet") == "", seconds=10)


@only_in_full  # a Runner on Docker builds in every run
async def test_docker_limits_a_build_tells_why_one_fails_and_makes_the_standard_image(
    make_world: MakeWorld, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker_engine.socket}")
    (tmp_path / "ca.pem").write_text("not really a certificate\n")
    world: World = await make_world(sandbox="off", engine="docker", build_disk_bytes=256 * MIB, ca_file=tmp_path / "ca.pem")
    full = world.build(world.repo("full", {"Dockerfile": WRITES}))
    failed(await world.ended(full), "OUT_OF_DISK", "user", "MiB")
    package = {"name": "x", "scripts": {"start": "node s.js"}}
    node = world.build(world.repo("node", {"package.json": json.dumps(package), "s.js": ""}))
    assert (await world.ended(node))["status"] == "SUCCEEDED", world.deploy.log(node)
    broken = world.build(world.repo("broken", {"Dockerfile": BASE + "RUN echo the-reason; exit 7\n"}))
    failed(await world.ended(broken), "BUILD_FAILED", "user", "the-reason")
    await world.nothing_left()


@only_in_full  # a Runner on Docker builds in every run
async def test_dockers_images_are_its_build_cache_and_the_oldest_go(
    make_world: MakeWorld, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{docker_engine.socket}")
    world: World = await make_world(sandbox="off", engine="docker", cache_images=4, clean_seconds=600.0)
    bare = world.repo("app", {"Dockerfile": BASE + "COPY a /a\nCOPY b /b\n", "a": "0", "b": "0"})
    for n in range(2):
        world.push(bare, {"a": str(n)})
        assert (await world.ended(world.build(bare, appId=61)))["status"] == "SUCCEEDED"
    used = docker_engine.cli("create", f"{world.registry.address}/t/u1-app61:latest", "/none")
    world.push(bare, {"a": "2"})
    assert (await world.ended(world.build(bare, appId=61)))["status"] == "SUCCEEDED"
    await world.stop()
    before = set(docker_engine.cli("images", "--all", "--quiet").split())
    world.settings = world.settings.model_copy(update={"clean_seconds": 0.3, "cache_images": 1})
    world.start()
    names = ("images", "--all", "--format", "{{.Repository}}:{{.Tag}}")
    await eventually(lambda: f"{world.registry.address}/t/u1-app61:latest" not in docker_engine.cli(*names), seconds=20)
    left = set(docker_engine.cli("images", "--all", "--quiet").split())
    assert left < before and "node:20-bookworm-slim" in docker_engine.cli(*names)
    assert docker_engine.cli("inspect", "--format", "{{.Image}}", used).removeprefix("sha256:")[:12] in left
    docker_engine.cli("rm", used)
    await world.stop()
