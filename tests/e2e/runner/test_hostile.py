"""Hostile builds end with a reason while another tenant's build beside them goes on; cancel and lost lease kill all."""

from __future__ import annotations

import asyncio

import pytest

from funai.runner.settings import MIB
from tests.e2e.runner.test_failures import failed
from tests.e2e.runner.world import MakeWorld, World, processes
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually

BASE = "FROM node:20-bookworm-slim\n"
SECONDS = "9753"
"""How long the endless build sleeps: what it is known by among all processes of the host."""
SLEEPS = BASE + f"RUN echo begun; sleep {SECONDS}\n"
HOSTILE = {
    "bomb": (BASE + "RUN f() { f | f & }; f; sleep 4; exit 1\n", "BUILD_FAILED", "processes"),
    "dd": (BASE + "RUN dd if=/dev/zero of=/big bs=1M count=20000\n", None, ""),
    "files": (
        BASE + "RUN for i in $(seq 999); do dd if=/dev/zero of=/f$i bs=1M count=64 2>/dev/null; done\n",
        "OUT_OF_DISK",
        "MiB",
    ),
    "sleep": (BASE + "RUN sleep infinity\n", "BUILD_TIMEOUT", "s"),
    "print": (BASE + "RUN yes 0123456789abcdef | head -c 1000000000\n", "BUILD_OUTPUT_LIMIT", "MiB"),
    "memory": (BASE + "RUN node -e 'const a=[];for(;;)a.push(Buffer.alloc(8e6,1))'\n", "OUT_OF_MEMORY", "MiB"),
}
SHORT = ("files", "sleep")
"""What every run has: a limit on the disk and one on the time."""


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=() if kind in SHORT else only_in_full) for kind in HOSTILE])
async def test_a_hostile_build_ends_and_its_neighbour_does_not(kind: str, make_world: MakeWorld) -> None:
    dockerfile, code, word = HOSTILE[kind]
    seconds = 30 if kind == "sleep" else 240  # the neighbour has no more, on a machine that does much else
    world: World = await make_world(
        build_seconds=seconds,
        build_disk_bytes=256 * MIB,
        build_pids=128,
        build_memory_bytes=256 * MIB,
        build_output_bytes=4 * MIB,
    )
    hostile = world.build(world.repo("hostile", {"Dockerfile": dockerfile}))
    good = world.build(world.repo("good", {"Dockerfile": BASE + "RUN sleep 1\n", "a": kind}))
    report = await world.ended(good)
    assert report["status"] == "SUCCEEDED", report
    report = await world.ended(hostile)
    failed(report, code or report["failure"]["code"], "user", word)
    assert report["failure"]["code"] in ("OUT_OF_DISK", code), report
    await world.nothing_left()


@pytest.mark.parametrize("how", ["cancel", "lease"])
async def test_a_build_that_is_no_longer_wanted_is_gone_with_all_it_started(how: str, world: World) -> None:
    job = world.build(world.repo("app", {"Dockerfile": SLEEPS}))
    await eventually(lambda: "begun" in world.deploy.log(job) and processes(SECONDS), seconds=30, what="the build runs")
    if how == "cancel":
        world.deploy.status[job] = "CANCELLED"
    else:
        world.deploy.refuse_beats = True
    await world.nothing_left(SECONDS)
    assert job not in world.deploy.reports
    world.deploy.refuse_beats = False
    after = world.build(world.repo("next", {"Dockerfile": BASE, "a": how}))
    assert (await world.ended(after))["status"] == "SUCCEEDED"


@only_in_full  # a lease that ends stops the work in every run
async def test_a_deploy_that_falls_silent_stops_the_work_before_the_lease_ends(make_world: MakeWorld) -> None:
    world: World = await make_world(lease_seconds=12)
    job = world.build(world.repo("app", {"Dockerfile": SLEEPS}))
    await eventually(lambda: "begun" in world.deploy.log(job) and processes(SECONDS), seconds=30)
    last_beat = world.deploy.beats[job][-1][0]
    world.deploy.away = True
    await eventually(lambda: not processes(SECONDS), seconds=12)
    assert asyncio.get_running_loop().time() < max(last_beat, world.deploy.beats[job][-1][0]) + 12
    assert job not in world.deploy.reports
    world.deploy.away = False
    await world.nothing_left()
