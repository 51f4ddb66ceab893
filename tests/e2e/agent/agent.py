"""A runtime-agent as a process of its own, on a real engine and a real HAProxy: it can be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from funai.base.process.proc import base_environment
from tests.e2e.agent.images import image
from tests.parts.extent import only_in_full
from tests.parts.waiting import free_port, tcp_answers, wait_until

TOKEN = "e2e-agent-token"
on_both_engines = pytest.mark.parametrize("agent_process", ["podman", "docker"], indirect=True)
on_podman_in_full = pytest.mark.parametrize(
    "agent_process", [pytest.param("podman", marks=only_in_full), "docker"], indirect=True
)
"""What tests of a whole platform, which is on Podman, show in every run."""
on_docker_in_full = pytest.mark.parametrize(
    "agent_process", ["podman", pytest.param("docker", marks=only_in_full)], indirect=True
)
"""What the agent does by itself: that the two engines behave alike, ``test_engine_contract`` says in every run."""
ROOT = Path(__file__).parents[3]
MAIN = """
import asyncio, json, sys
from funai.base.observability import log
from funai.base.aio import stop_on_signals
from funai.gateway.settings import GatewaySettings
from funai.agent.main import serve
from funai.agent.settings import RuntimeSettings

async def main():
    given = json.loads(sys.argv[1])
    log.configure("agent", json=False)
    stop = asyncio.Event()
    stop_on_signals(stop)
    await serve(RuntimeSettings(**given["agent"]), GatewaySettings(**given["gateway"]), stop)

asyncio.run(main())
"""


@dataclass
class Process:
    """The agent's process with its gateway. Everything here blocks; ``Agent`` is one test's view of it."""

    socket: Path
    folder: Path
    instance: str
    env: Mapping[str, str]
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    gateway: dict[str, Any] = field(default_factory=dict[str, Any])
    """Settings of its gateway, beside where it listens."""
    port: int = field(default_factory=free_port)
    gateway_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        given = {
            "agent": {
                "token": TOKEN,
                "port": self.port,
                "engine_socket": str(self.socket),
                "instance": self.instance,
                "node_gateway_base_url": f"http://127.0.0.1:{self.gateway_port}",
                "drain_seconds": 5,
                "stop_grace_seconds": 2,
                "sweep_seconds": 2,
                "app_memory": 96 << 20,
                "app_cpus": 1,
                "state_dir": str(self.folder / "state"),
                **self.settings,
            },
            "gateway": {
                "host": "127.0.0.1",
                "port": self.gateway_port,
                "data_dir": str(self.folder / "gw"),
                **self.gateway,
            },
        }
        env = {**base_environment(), **self.env, "PYTHONPATH": str(ROOT / "src")}
        with (self.folder / "agent.log").open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, json.dumps(given)], env=env, stdout=out, stderr=out, start_new_session=True
            )
        wait_until(self._ready, seconds=40, every=0.05, what="the agent answers")

    def _ready(self) -> bool:
        assert self.process is None or self.process.poll() is None, (self.folder / "agent.log").read_text()[-3000:]
        return tcp_answers(self.port)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """The agent in its own order, then the gateway that it left running."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(120)
        for pid in self.haproxy_pids:
            os.kill(pid, signal.SIGKILL)

    @property
    def haproxy_pids(self) -> list[int]:
        return sorted(int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and self._is_ours(p))

    def _is_ours(self, process: Path) -> bool:
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return words[0].endswith(b"haproxy") and any(str(self.folder).encode() in w for w in words)


@dataclass
class Agent:
    """``http`` calls the agent's door, ``public`` the gateway's; ``app`` is the id this test has for itself."""

    process: Process
    app: int
    http: httpx.AsyncClient
    public: httpx.AsyncClient

    async def post(self, verb: str, app: int | None = None, **body: Any) -> httpx.Response:
        return await self.http.post(f"/agent/apps/{verb}", json={"userId": 1, "appId": app or self.app, **body})

    async def deploy(self, generation: int, temper: str = "web", app: int | None = None, **more: Any) -> httpx.Response:
        wait = {"health": {"timeoutSeconds": 20}}
        return await self.post("deploy", app, generation=generation, image=image(temper), **{**wait, **more})

    async def status(self) -> dict[str, Any]:
        return (await self.http.get("/agent/apps/status", params={"userId": 1, "appId": self.app})).json()

    async def get(self, below: str = "", app: int | None = None) -> httpx.Response:
        return await self.public.get(f"/runtime/{app or self.app}/{below}")


@asynccontextmanager
async def visiting(process: Process, app: int) -> AsyncIterator[Agent]:
    """One test's view; at the end its app is gone."""
    headers = {"X-Runtime-Token": TOKEN, "Accept-Language": "en"}
    base, gateway = f"http://127.0.0.1:{process.port}", f"http://127.0.0.1:{process.gateway_port}"
    async with (
        httpx.AsyncClient(base_url=base, headers=headers, trust_env=False, timeout=60) as http,
        httpx.AsyncClient(base_url=gateway, trust_env=False, timeout=10) as public,
    ):
        agent = Agent(process, app, http, public)
        try:
            yield agent
        finally:
            await agent.post("delete")
