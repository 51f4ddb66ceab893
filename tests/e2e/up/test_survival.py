"""Killed, stopped, started again: apps go on answering, jobs end by themselves."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from funai.base.process import ports
from funai.base.process.daemon import start_time
from funai.contracts.accounts import CreateDeploy
from funai.contracts.states import AppStatus, JobStatus
from tests.e2e.up.world import DOCKERFILE, Platform, project
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually

BACK = 10.0
"""Seconds within which routes must answer after a start."""


@dataclass
class Watch:
    answers: int = 0
    bad: list[str] = field(default_factory=list[str])


@asynccontextmanager
async def watching(url: str, body: str) -> AsyncIterator[Watch]:
    """Ask the public door all the time; every answer other than ``body`` is kept."""
    watch, stop = Watch(), asyncio.Event()

    async def ask() -> None:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            while not stop.is_set():
                try:
                    answer = await http.get(url)
                    if answer.text != body:
                        watch.bad.append(f"{answer.status_code} {answer.text[:80]}")
                except httpx.HTTPError as e:
                    watch.bad.append(repr(e))
                watch.answers += 1
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await stop.wait()

    task = asyncio.create_task(ask())
    try:
        yield watch
    finally:
        stop.set()
        await task


@only_in_full  # chaos kills parts in every run
async def test_kill_9_in_mid_deploy_the_job_ends_and_the_old_version_never_stopped(own_platform: Platform) -> None:
    up = own_platform
    person = await up.person("ada")
    app = await person.app("app", project("old"))
    assert (await person.deploy(app)).status is JobStatus.SUCCEEDED
    await person.push(app, project("new", dockerfile=DOCKERFILE.replace("COPY . .", "COPY . .\nRUN sleep 5")))
    async with watching(f"{up.gateway_url}/runtime/{app.id}/", "old") as old:
        job = await person.api.deploy(person.user_id, app.id, CreateDeploy())
        await eventually(lambda: _in_phase(person, job.id, "BUILD"), seconds=30)
        up.kill()
        await eventually(lambda: old.answers > 50, seconds=30)
        await asyncio.to_thread(up.start)
        assert "Adopted" in up.output
        assert old.bad == []
    ended = await person.ended(job.id, 150)
    assert ended.status is JobStatus.SUCCEEDED, ended.error_message
    assert ended.attempt and ended.attempt >= 2
    assert await up.get(app.id) == (200, "new")
    await person.api.delete_app(person.user_id, app.id)
    await person.api.close()


async def _in_phase(person: object, job_id: int, phase: str) -> bool:
    job = await person.api.job(job_id)  # type: ignore[attr-defined]
    return job.payload.get("phase") == phase


async def test_a_stop_keeps_the_apps_and_the_next_start_finds_them(own_platform: Platform) -> None:
    up = own_platform
    person = await up.person("bob")
    app = await person.app("app", project("kept"))
    assert (await person.deploy(app)).status is JobStatus.SUCCEEDED
    assert await asyncio.to_thread(up.stop) == 0
    for port in dict(up.ports.items()).values():
        assert ports.is_free("127.0.0.1", port), ports.holder(port)
    await asyncio.to_thread(up.start)
    await eventually(lambda: _answers(up, app.id, "kept"), seconds=BACK)
    os.kill(_haproxy(up), signal.SIGKILL)
    await eventually(lambda: _answers(up, app.id, "kept"), seconds=BACK)
    os.kill(up.pid_of("registry"), signal.SIGKILL)
    for part in ("the gateway (HAProxy)", "the registry"):
        await eventually(lambda part=part: f"{part} died" in up.output and f"{part} runs again" in up.output, seconds=BACK)
    await person.api.delete_app(person.user_id, app.id)
    await person.api.close()


@only_in_full  # a Runner's stop in mid-build is in every run
async def test_ctrl_c_in_mid_build_ends_in_order_and_the_job_goes_on_later(own_platform: Platform) -> None:
    up = own_platform
    person = await up.person("eve")
    app = await person.app("app", project("x", dockerfile=DOCKERFILE.replace("COPY . .", "COPY . .\nRUN sleep 4")))
    job = await person.api.deploy(person.user_id, app.id, CreateDeploy())
    await eventually(lambda: _in_phase(person, job.id, "BUILD"), seconds=30)
    assert await asyncio.to_thread(up.stop, signal.SIGINT, 90) == 0
    await asyncio.to_thread(up.start)
    assert (await person.ended(job.id, 120)).status is JobStatus.SUCCEEDED
    await person.api.delete_app(person.user_id, app.id)
    await person.api.close()


@only_in_full  # a platform more, for one refusal
async def test_a_second_up_on_the_same_data_is_refused(up: Platform, short_path: Path) -> None:
    second = Platform(up.data_dir, up.engine, ports=up.ports)
    with pytest.raises(AssertionError, match="already in use by `funai up` with pid"):
        await asyncio.to_thread(_start_elsewhere, second, short_path)
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(f"{up.api_url}/internal/health")).status_code == 200


@only_in_full  # tests/pure/standalone has the words
async def test_taken_ports_are_named_with_their_holder(up: Platform, short_path: Path) -> None:
    other = Platform(short_path / "data", up.engine, ports=up.ports)
    with pytest.raises(AssertionError) as refused:
        await asyncio.to_thread(other.start)
    assert f"--gateway-port {up.ports.gateway}: taken by haproxy (pid {_haproxy(up)})" in str(refused.value)
    assert f"--registry-port {up.ports.registry}: taken by docker-registry" in str(refused.value)


def _start_elsewhere(platform: Platform, folder: Path) -> None:
    """Start with the output kept apart from the running one's."""
    link = folder / "data"
    link.symlink_to(platform.data_dir)
    platform.data_dir = link
    platform.start()


async def _answers(up: Platform, app_id: int, body: str) -> bool:
    try:
        return await up.get(app_id) == (200, body)
    except httpx.HTTPError:
        return False


def _haproxy(up: Platform) -> int:
    holder = ports.holder(up.ports.gateway) or ""
    pid = int(holder.rpartition("pid ")[2].rstrip(")"))
    assert start_time(pid)
    return pid


@pytest.mark.timeout(400)  # two starts, a build and a stop
@only_in_full  # tests/service/standalone/test_backup.py is in every run
async def test_a_platform_comes_back_from_its_backup(own_platform: Platform) -> None:
    """Backed up while it runs, its data dir lost, restored: the same accounts, repositories, keys and images."""
    up = own_platform
    someone = await up.person("backed-up")
    app = await someone.app("kept", project("kept"))
    assert (await someone.deploy(app)).status is JobStatus.SUCCEEDED
    file = up.data_dir.parent / "backup.tar"
    funai = str(Path(sys.executable).with_name("funai"))
    for verb in ("backup", "restore"):
        done = await asyncio.to_thread(
            subprocess.run, [funai, verb, str(file), "--data-dir", str(up.data_dir), "--json"], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
        if verb == "backup":
            await someone.api.app_call("stop", someone.user_id, app.id)
            await asyncio.to_thread(up.stop)
            await asyncio.to_thread(shutil.rmtree, up.data_dir)
    await asyncio.to_thread(up.start)
    assert [a.app_name for a in await someone.api.apps(someone.user_id)] == ["kept"], "the login and the account are the same"
    assert await someone.git(someone.home, "ls-remote", str(app.repo_ssh_url)), "the key and the host's key are the same"
    await someone.api.app_call("stop", someone.user_id, app.id)
    started = await someone.api.app_call("start", someone.user_id, app.id)
    if started.last_job_id and started.app_status is AppStatus.DEPLOYING:
        assert (await someone.ended(started.last_job_id)).status is JobStatus.SUCCEEDED
    assert await up.get(app.id) == (200, "kept")
    await someone.api.delete_app(someone.user_id, app.id)
    await someone.api.close()
