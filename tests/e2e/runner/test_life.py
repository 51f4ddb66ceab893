"""A Runner's life: stops, kills, parts that are briefly away, older peers."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from funai.base.config.settings import env_form
from funai.runner.settings import RunnerSettings
from tests.e2e.runner.test_failures import failed
from tests.e2e.runner.test_hostile import SECONDS, SLEEPS
from tests.e2e.runner.world import MakeWorld, World, processes
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually

BASE = "FROM node:20-bookworm-slim\n"
SLOW = BASE + "RUN sleep 2\nRUN echo done\n"
PROGRAM = """
import asyncio
from funai.base.aio import stop_on_signals
from funai.runner.main import serve
from funai.runner.settings import RunnerSettings

async def main() -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    await serve(RunnerSettings.load(), stop)

asyncio.run(main())
"""


@asynccontextmanager
async def own_process(settings: RunnerSettings) -> AsyncIterator[asyncio.subprocess.Process]:
    """The Runner in a process of its own, configured by its environment."""
    env = dict(os.environ)
    for name, info in RunnerSettings.model_fields.items():
        value = getattr(settings, name)
        text = (
            value.get_secret_value()
            if hasattr(value, "get_secret_value")
            else ",".join(value)
            if isinstance(value, list)
            else value
        )
        if text is not None:
            env[env_form(info.alias or name)] = str(text)
    p = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, env=env)
    try:
        yield p
    finally:
        if p.returncode is None:
            p.kill()
        await p.wait()


async def test_a_killed_runner_leaves_nothing_for_its_next_life(world: World) -> None:
    await world.stop()
    bare = world.repo("app", {"Dockerfile": SLEEPS})
    async with own_process(world.settings) as runner:
        job = world.build(bare)
        await eventually(lambda: processes(SECONDS), seconds=30, what="the build runs")
        runner.kill()
        await runner.wait()
    # The sandbox dies with who started it; its folder and control group are left.
    await eventually(lambda: not processes(SECONDS), seconds=20)
    assert world.leftovers()
    world.start()
    await world.nothing_left(SECONDS)
    assert job not in world.deploy.reports
    good = world.build(world.repo("good", {"Dockerfile": BASE}))
    assert (await world.ended(good))["status"] == "SUCCEEDED"


async def test_a_stop_finishes_what_is_in_hand_and_claims_nothing_more(world: World) -> None:
    await world.stop()
    async with own_process(world.settings) as runner:
        job = world.build(world.repo("app", {"Dockerfile": SLOW}))
        await eventually(lambda: "sleep 2" in world.deploy.log(job), seconds=30)
        beats = len(world.deploy.beats.get(job, []))
        runner.send_signal(signal.SIGTERM)
        assert (await world.ended(job))["status"] == "SUCCEEDED"
        assert len(world.deploy.beats[job]) > beats
        async with asyncio.timeout(60):
            assert await runner.wait() == 0
        later = world.build(world.repo("later", {"Dockerfile": BASE}))
        assert world.deploy.status.get(later) is None and world.leftovers() == []


@only_in_full  # a stop that finishes what is in hand is in every run
async def test_a_stop_that_takes_too_long_hands_the_job_back(make_world: MakeWorld) -> None:
    world: World = await make_world(stop_seconds=0.5)
    job = world.build(world.repo("app", {"Dockerfile": SLEEPS}))
    await eventually(lambda: processes(SECONDS), seconds=30)
    async with asyncio.timeout(60):
        await world.stop()
    assert not processes(SECONDS) and world.leftovers() == [] and job not in world.deploy.reports


async def test_parts_that_are_briefly_away_delay_a_job_and_no_more(make_world: MakeWorld) -> None:
    world: World = await make_world(retry_seconds=30)
    bare = world.repo("app", {"Dockerfile": SLOW})
    world.sshd.stop()
    world.registry.stop()
    job = world.build(bare)
    try:
        await eventually(lambda: "CLONE" in world.deploy.log(job), seconds=10)
        await asyncio.to_thread(world.sshd.start)
        await eventually(lambda: "commit" in world.deploy.log(job), seconds=20, what=str(world.deploy.reports))
    finally:
        if not world.sshd.running:
            await asyncio.to_thread(world.sshd.start)
        await asyncio.to_thread(world.registry.start)
    report = await world.ended(job)
    assert report["status"] == "SUCCEEDED", report


@only_in_full  # parts that are briefly away are in every run
async def test_deploy_away_in_the_middle_loses_neither_log_nor_report(world: World) -> None:
    job = world.build(world.repo("app", {"Dockerfile": BASE + "RUN for i in 1 2 3 4; do echo line-$i; sleep 1; done\n"}))
    await eventually(lambda: "line-1\n" in world.deploy.log(job), seconds=30)
    world.deploy.away = True
    await eventually(lambda: not processes("1"), seconds=15, every=0.3)
    world.deploy.away = False
    report = await world.ended(job)
    assert report["status"] == "SUCCEEDED", report
    text = world.deploy.log(job)
    assert [text.count(f"\nline-{i}\n") for i in (1, 2, 3, 4)] == [1, 1, 1, 1], text


async def test_an_older_deploy_and_an_older_agent(world: World) -> None:
    world.deploy.legacy = True
    world.agent.verified = None
    job = world.build(world.repo("app", {"Dockerfile": BASE}))
    report = await world.ended(job)
    assert report["status"] == "SUCCEEDED", report
    assert "leaseToken" not in report and "generation" not in world.agent.deploys[-1]
    assert world.deploy.logs.get(job, b"") == b""


async def test_a_payload_that_breaks_the_rules_fails_and_the_slot_lives(world: World) -> None:
    bad = [world.job(image="bad image"), world.job(containerPort=70000, image="x/y:1"), world.job(basePath="x", image="a/b:1")]
    for job in bad:
        failed(await world.ended(job), "CONTRACT_INVALID", "user")
    assert (await world.ended(world.job(image="some.where/x:1")))["status"] == "SUCCEEDED"
