"""A real platform (`funai up` as a process of its own) and the people who use it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from funai.base.clients.api import ApiClient
from funai.base.process.daemon import start_time
from funai.contracts.accounts import App, CreateApp, CreateDeploy
from funai.contracts.jobs import Job
from funai.git.server import known_hosts_line
from funai.standalone.layout import Layout, ensure_key
from funai.standalone.options import Ports, UpOptions
from funai.standalone.parts import postgres
from funai.standalone.parts.engine import EngineChoice
from funai.standalone.services import instance
from tests.parts.waiting import eventually, wait_until

READY = 60

SERVER = """
const http = require('http'), fs = require('fs');
http.createServer((q, s) => {
  if (q.url === '/env') return s.end(process.env.GREETING || 'unset');
  s.end(fs.readFileSync('greeting.txt'));
}).listen(PORT);
"""
DOCKERFILE = 'FROM node:20-bookworm-slim\nWORKDIR /app\nCOPY . .\nEXPOSE 3000\nCMD ["node", "server.js"]\n'


def project(greeting: str = "hello", *, port: int = 3000, dockerfile: str | None = DOCKERFILE, **more: str) -> dict[str, str]:
    """A small app's files. ``dockerfile=None`` leaves it out. No two share a layer: a cached step runs and says nothing."""
    files = {"salt.txt": secrets.token_hex(8), "server.js": SERVER.replace("PORT", str(port)), "greeting.txt": greeting, **more}
    return files if dockerfile is None else {**files, "Dockerfile": dockerfile}


@dataclass
class Platform:
    """One `funai up`. ``kill`` is kill -9 of it alone, as an operator's accident would be."""

    data_dir: Path
    engine: EngineChoice
    """The machine's, which a `funai up` finds by itself: here to remove its images."""
    ports: Ports = field(default_factory=Ports.free)
    process: subprocess.Popen[bytes] | None = None
    postgres: str = "none"
    """Databases for apps: ``embedded`` makes a server, which takes a second or two at the first start."""
    patience: float = READY
    """Seconds until it is up."""

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.api}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.gateway}"

    @property
    def layout(self) -> Layout:
        return Layout(self.data_dir)

    @property
    def output(self) -> str:
        return (self.data_dir.parent / "up.out").read_text()

    def start(self, *extra: str) -> None:
        """Start it and wait until it says that it is up."""
        argv = [
            str(Path(sys.executable).with_name("funai")),
            "up",
            "--data-dir",
            str(self.data_dir),
            "--postgres",
            self.postgres,
        ]
        for name, port in self.ports.items():
            argv += [f"--{name}-port", str(port)]
        out = (self.data_dir.parent / "up.out").open("wb")
        with out:
            env = {**os.environ, "COLUMNS": "200", "FUNAI_LANG": "en"}
            self.process = subprocess.Popen([*argv, *extra], stdout=out, stderr=out, start_new_session=True, env=env)
        wait_until(self._up_or_dead, seconds=self.patience, what=f"funai up: {self.data_dir.parent}/up.out", every=0.05)
        assert self.process.poll() is None, self.output

    def _up_or_dead(self) -> bool:
        assert self.process is not None
        return "FunAI is up" in self.output or self.process.poll() is not None

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, sig: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        assert self.process is not None
        self.process.send_signal(sig)
        return self.process.wait(seconds)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def pid_of(self, daemon: str) -> int:
        return int(json.loads((self.layout.run / f"{daemon}.json").read_text())["pid"])

    def destroy(self) -> None:
        """Stop it and remove what it made: containers, networks, images, folders."""
        if self.running:
            self.stop()
        for record in self.layout.run.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                pid = int(json.loads(record.read_text())["pid"])
                if start_time(pid):
                    os.kill(pid, signal.SIGKILL)
        self._remove_images()
        own = instance(UpOptions(data_dir=self.data_dir).with_absolute_dir())
        shutil.rmtree(postgres.ROOT / own, ignore_errors=True)
        shutil.rmtree(self.data_dir, ignore_errors=True)

    def _remove_images(self) -> None:
        """Those of this platform's registry, whose port is its own; without it a machine's storage would only ever grow."""
        env = {**os.environ, **self.engine.environment}
        podman, ours = self.engine.binary, f"127.0.0.1:{self.ports.registry}/"
        listed = subprocess.run(
            [podman, "images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}"],
            env=env,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        pairs = [line.partition(" ") for line in listed.stdout.splitlines()]
        if stale := {image for image, _, name in pairs if name.startswith(ours)}:
            subprocess.run([podman, "rmi", "--force", *sorted(stale)], env=env, capture_output=True, check=True, timeout=120)

    async def person(self, name: str) -> Person:
        """Register somebody with an SSH key."""
        anonymous = ApiClient(self.api_url)
        try:
            await anonymous.register(name, "correct horse battery")
            user, token = await anonymous.login(name, "correct horse battery")
        finally:
            await anonymous.close()
        home = self.data_dir.parent / f"home-{name}"
        home.mkdir()
        api = ApiClient(self.api_url, {"Authorization": f"Bearer {token}", "Accept-Language": "en"})
        await api.add_key("test", ensure_key(home / "id_ed25519", name))
        (home / "known_hosts").write_text(known_hosts_line(self.layout.git_host_key, "127.0.0.1", self.ports.git))
        return Person(self, api, user.id, home)

    async def get(self, app_id: int, path: str = "/") -> tuple[int, str]:
        """The public door."""
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            answer = await http.get(f"{self.gateway_url}/runtime/{app_id}{path}")
            return answer.status_code, answer.text


@dataclass
class Person:
    platform: Platform
    api: ApiClient
    user_id: int
    home: Path

    async def app(self, name: str, files: Mapping[str, str | bytes] | None = None) -> App:
        """Create an app and, with files, push them."""
        app = await self.api.create_app(self.user_id, CreateApp(app_name=name))
        if files is not None:
            await self.push(app, files)
        return app

    async def push(self, app: App, files: Mapping[str, str | bytes]) -> str:
        """Commit exactly these files and push to main; answers the commit."""
        work = self.home / f"app{app.id}"
        if not work.exists():
            work.mkdir()
            await self.git(work, "init", "-q", "-b", "main")
        for old in work.iterdir():
            if old.name != ".git":
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        for name, content in files.items():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        await self.git(work, "add", "-A")
        await self.git(work, "-c", "user.name=t", "-c", "user.email=t@t", "commit", "-q", "--allow-empty", "-m", "x")
        await self.git(work, "push", "-q", str(app.repo_ssh_url), "HEAD:main")
        return (await self.git(work, "rev-parse", "HEAD")).strip()

    async def git(self, work: Path, *words: str) -> str:
        ssh = f"ssh -F none -i {self.home}/id_ed25519 -o IdentitiesOnly=yes -o UserKnownHostsFile={self.home}/known_hosts"
        env = {**os.environ, "GIT_SSH_COMMAND": ssh, "GIT_CONFIG_GLOBAL": "/dev/null"}
        p = await asyncio.create_subprocess_exec(
            "git", *words, cwd=work, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, err = await p.communicate()
        assert p.returncode == 0, err.decode()
        return out.decode()

    async def deploy(self, app: App, seconds: float = 120, **wishes: object) -> Job:
        """Press deploy and wait for its end."""
        job = await self.api.deploy(self.user_id, app.id, CreateDeploy.model_validate(wishes))
        return await self.ended(job.id, seconds)

    async def ended(self, job_id: int, seconds: float = 120) -> Job:
        async def final() -> Job | None:
            job = await self.api.job(job_id)
            return job if job.status.final else None

        job = await eventually(final, seconds=seconds, what=f"job {job_id} to end", every=0.1)
        assert job is not None
        return job

    async def info(self, app: App) -> App:
        return await self.api.app(self.user_id, app.id)
