"""A runtime-agent as a process of its own, on a real engine and a real HAProxy: it can be killed and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from funai.base.proc import base_environment
from tests.e2e.runtime.images import image
from tests.parts.waiting import eventually, free_port

TOKEN = "e2e-agent-token"
ROOT = Path(__file__).parents[3]
MAIN = """
import asyncio, json, sys
from funai.base import log
from funai.base.supervise import stop_on_signals
from funai.gateway.settings import GatewaySettings
from funai.runtime.main import serve
from funai.runtime.settings import RuntimeSettings

async def main():
    given = json.loads(sys.argv[1])
    log.configure("agent", json=False)
    stop = asyncio.Event()
    stop_on_signals(stop)
    await serve(RuntimeSettings(**given["agent"]), GatewaySettings(**given["gateway"]), stop)

asyncio.run(main())
"""


@dataclass
class Agent:
    """``http`` calls the agent's door, ``public`` the gateway's."""

    socket: Path
    folder: Path
    instance: str
    env: dict[str, str]
    port: int = field(default_factory=free_port)
    gateway_port: int = field(default_factory=free_port)
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers={"X-Runtime-Token": TOKEN, "Accept-Language": "en"},
            trust_env=False, timeout=60,
        )  # fmt: skip
        self.public = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.gateway_port}", trust_env=False, timeout=10)

    async def start(self) -> None:
        given = {
            "agent": {
                "token": TOKEN, "port": self.port, "engine_socket": str(self.socket), "instance": self.instance,
                "node_gateway_base_url": f"http://127.0.0.1:{self.gateway_port}", "drain_seconds": 5,
                "stop_grace_seconds": 2, "sweep_seconds": 1, "app_memory": 96 << 20, "app_cpus": 1, **self.settings,
            },
            "gateway": {"host": "127.0.0.1", "port": self.gateway_port, "data_dir": str(self.folder / "gw")},
        }  # fmt: skip
        env = {**base_environment(), **self.env, "PYTHONPATH": str(ROOT / "src")}
        with (self.folder / "agent.log").open("ab") as out:
            self.process = subprocess.Popen(  # noqa: ASYNC220 it only starts
                [sys.executable, "-c", MAIN, json.dumps(given)], env=env, stdout=out, stderr=out, start_new_session=True
            )
        await eventually(self._ready, seconds=30, what=f"the agent answers ({self.folder / 'agent.log'})", every=0.05)

    async def _ready(self) -> bool:
        assert self.process is None or self.process.poll() is None, (self.folder / "agent.log").read_text()[-3000:]
        try:
            return (await self.http.get("/internal/health")).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    async def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()

            async def ended() -> bool:
                return self.process is None or self.process.poll() is not None

            await eventually(ended, seconds=20, what="the agent stops")

    @property
    def haproxy_pid(self) -> int:
        pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and self._is_ours(p)]
        assert pids, "no HAProxy of this gateway runs"
        return min(pids)

    def _is_ours(self, process: Path) -> bool:
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return words[0].endswith(b"haproxy") and any(str(self.folder).encode() in w for w in words)

    async def post(self, verb: str, app: int = 7, **body: Any) -> httpx.Response:
        return await self.http.post(f"/agent/apps/{verb}", json={"userId": 1, "appId": app, **body})

    async def deploy(self, generation: int, temper: str = "web", app: int = 7, **more: Any) -> httpx.Response:
        wait = {"health": {"timeoutSeconds": 20}}
        return await self.post("deploy", app, generation=generation, image=image(temper), **{**wait, **more})

    async def status(self, app: int = 7) -> dict[str, Any]:
        return (await self.http.get("/agent/apps/status", params={"userId": 1, "appId": app})).json()

    async def get(self, path: str = "/runtime/7/") -> httpx.Response:
        return await self.public.get(path)


@asynccontextmanager
async def running(socket: Path, folder: Path, instance: str, env: dict[str, str], **settings: Any) -> AsyncIterator[Agent]:
    """A started agent; at the end every app it had is gone, and so is its gateway."""
    agent = Agent(socket, folder, instance, env, settings=settings)
    await agent.start()
    try:
        yield agent
    finally:
        await agent.stop()
        for pid in _haproxies(agent):
            os.kill(pid, signal.SIGKILL)
        await agent.http.aclose()
        await agent.public.aclose()


def _haproxies(agent: Agent) -> list[int]:
    try:
        return [agent.haproxy_pid]
    except AssertionError:
        return []
