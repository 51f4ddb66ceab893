"""``funai node join`` with the real agent, engine and HAProxy, against a Deploy on loopback; then ``funai node leave``."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from funai.base.aio import bind, serving
from funai.base.process.proc import base_environment
from funai.deploy import main
from tests.e2e.agent.agent import ROOT
from tests.parts.waiting import eventually, free_port
from tests.service.deploy.queue.kit import ADMIN, Deploy, settings

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a node's agent needs root")


def funai(*words: str, env: dict[str, str], out: IO[bytes] | int) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "funai.cli.main", *words]
    return subprocess.Popen(
        argv, env={**base_environment(), "PYTHONPATH": str(ROOT / "src"), **env}, stdout=out, stderr=subprocess.STDOUT
    )


async def test_join_makes_this_machine_a_node_that_serves_and_leave_ends_it(
    engine_socket: Path, sqlite_url: str, tmp_path: Path
) -> None:
    app = main.build(settings(sqlite_url))
    deploy, config, log = Deploy(app), tmp_path / "agent.properties", tmp_path / "join.log"
    agent, gateway = free_port(), free_port()
    config.write_text(
        f"RUNTIME_INSTANCE=join{os.getpid() % 10_000}\nRUNTIME_STATE_DIR={tmp_path}/state\nRUNTIME_FIREWALL=false\n"
        f"gateway.data-dir={tmp_path}/gw\ngateway.host=127.0.0.1\n"
    )
    async with main.running(deploy.core), serving(app, bind("127.0.0.1", 0)) as port:
        token = (await deploy.api.admin("POST", "/admin/join-tokens/create", ADMIN, json={}))["token"]
        env = {"FUNAI_JOIN_TOKEN": token, "RUNTIME_ENGINE_SOCKET": str(engine_socket), "FUNAI_LANG": "en"}
        words = ("--deploy-url", f"http://127.0.0.1:{port}", "--name", "n1", "--config", str(config), "--foreground")
        urls = ("--agent-url", f"http://127.0.0.1:{agent}", "--gateway-url", f"http://127.0.0.1:{gateway}")
        with log.open("wb") as out:
            joining = funai("node", "join", *words, *urls, env=env, out=out)
        try:

            async def heard() -> bool:
                assert joining.poll() is None, log.read_text()
                return "Deploy hears of node n1: " in log.read_text()

            await eventually(heard, seconds=90, what="the first heartbeat")
            [node] = await deploy.api.admin("GET", "/admin/runtime-nodes/list", ADMIN)
            assert node["agentVersion"] and node["gatewayBaseUrl"] == f"http://127.0.0.1:{gateway}"
            assert token not in log.read_text()
        finally:
            joining.terminate()
            joining.wait(60)
        leaving = funai("node", "leave", "--yes", "--config", str(config), env=env, out=subprocess.PIPE)
        said, _ = await asyncio.to_thread(leaving.communicate, timeout=60)
        assert leaving.returncode == 0, said
        assert await deploy.api.admin("GET", "/admin/runtime-nodes/list", ADMIN) == []
        assert not config.exists()
        await eventually(lambda: not proxies(tmp_path), what="HAProxy has ended")
        await deploy.close()


def proxies(folder: Path) -> list[str]:
    lines = (p / "cmdline" for p in Path("/proc").iterdir() if p.name.isdigit())
    found: list[str] = []
    for line in lines:
        try:
            words = line.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"haproxy") and any(str(folder).encode() in w for w in words):
            found.append(line.parent.name)
    return found
