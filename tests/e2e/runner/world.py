"""A Runner among real parts (Podman, registry, OpenSSH), with a Deploy and an agent that a test can steer."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from funai.base.aio import bind, serving
from funai.runner.main import serve
from funai.runner.settings import RunnerSettings
from tests.parts.podman import Podman
from tests.parts.registry import Registry
from tests.parts.sshd import Sshd
from tests.parts.waiting import Deadline, eventually

NOW = "2026-01-01T00:00:00.000Z"


@dataclass
class FakeDeploy:
    """Hands out the jobs it is given and keeps what it is told. ``legacy``: an older Deploy without the (+) parts."""

    legacy: bool = False
    away: bool = False
    refuse_beats: bool = False
    queue: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    status: dict[int, str] = field(default_factory=dict[int, str])
    logs: dict[int, bytes] = field(default_factory=dict[int, bytes])
    reports: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    beats: dict[int, list[tuple[float, dict[str, Any]]]] = field(default_factory=dict[int, list[tuple[float, dict[str, Any]]]])
    claims: int = 0

    def put(self, job: dict[str, Any]) -> int:
        self.queue.append(job)
        return int(job["id"])

    def log(self, job_id: int) -> str:
        return self.logs.get(job_id, b"").decode()

    def app(self) -> FastAPI:
        def present() -> None:
            if self.away:
                raise HTTPException(503, "away")

        app = FastAPI(title="fake-deploy", dependencies=[Depends(present)])
        app.add_api_route("/deploy/jobs/claim", self._claim, methods=["POST"])
        app.add_api_route("/deploy/jobs/{job_id}/heartbeat", self._heartbeat, methods=["POST"])
        app.add_api_route("/deploy/jobs/{job_id}/report", self._report, methods=["POST"])
        app.add_api_route("/deploy/jobs/{job_id}/logs", self._logs, methods=["POST"])
        return app

    async def _claim(self, request: Request) -> Any:
        body = await request.json()
        self.claims += 1
        end = time.monotonic() + (0 if self.legacy else body["waitSeconds"])
        while True:
            # A claim whose runner was killed must not swallow a job.
            if await request.is_disconnected():
                return _ok(None)
            if self.queue:
                job = self.queue.pop(0)
                break
            if time.monotonic() > end:
                return _ok(None)
            await asyncio.sleep(0.02)
        self.status[job["id"]] = "RUNNING"
        if self.legacy:
            job = {k: v for k, v in job.items() if k not in ("attempt", "leaseToken")}
        return _ok({**job, "status": "RUNNING", "runnerId": body["runnerId"]})

    async def _heartbeat(self, job_id: int, request: Request) -> Any:
        self.beats.setdefault(job_id, []).append((asyncio.get_running_loop().time(), await request.json()))
        if self.refuse_beats:
            return JSONResponse({"code": 409, "message": "lost", "data": None, "reason": "LEASE_LOST"}, 409)
        return _ok(_job(job_id, {}, status=self.status[job_id]))

    async def _report(self, job_id: int, request: Request) -> Any:
        self.reports[job_id] = await request.json()
        self.status[job_id] = self.reports[job_id]["status"]
        return _ok(_job(job_id, {}, status=self.status[job_id]))

    async def _logs(self, job_id: int, request: Request) -> Any:
        if self.legacy:
            return JSONResponse({"code": 404, "message": "no", "data": None}, 404)
        body = await request.json()
        have = self.logs.setdefault(job_id, b"")
        if body["offset"] > len(have):
            return JSONResponse({"code": 409, "message": "gap", "data": None, "reason": "LOG_GAP"}, 409)
        self.logs[job_id] = have + body["chunk"].encode()[len(have) - body["offset"] :]
        return _ok({"nextOffset": len(self.logs[job_id])})


@dataclass
class FakeAgent:
    """Answers deploys as a runtime-agent would. ``refuse`` makes the next ones fail."""

    deploys: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    refuse: tuple[int, Any] | None = None
    verified: bool | None = True

    def app(self) -> FastAPI:
        app = FastAPI(title="fake-agent")

        @app.post("/agent/apps/deploy")
        async def deploy(request: Request) -> Any:
            body = await request.json()
            self.deploys.append(body)
            if self.refuse:
                return JSONResponse({"detail": self.refuse[1]}, self.refuse[0])
            answer = {"appId": body["appId"], "containerName": "rt", "status": "DEPLOYED", "previewUrl": "http://x/"}
            return answer if self.verified is None else {**answer, "verified": self.verified}

        @app.get("/agent/apps/status")
        async def status(userId: str, appId: str) -> Any:  # noqa: N803
            return {"appId": appId, "containerName": "rt", "exists": True, "running": True, "image": "x", "port": 3000}

        @app.get("/runtime/{app_id}/{rest:path}")
        async def public(app_id: str, rest: str) -> Any:
            return {"app": app_id}

        return app


@dataclass
class World:
    deploy: FakeDeploy
    agent: FakeAgent
    settings: RunnerSettings
    podman: Podman
    registry: Registry
    sshd: Sshd
    root: Path
    agent_port: int
    _ids: list[int] = field(default_factory=lambda: [0])
    _task: asyncio.Task[None] | None = None
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    def repo(self, name: str, files: dict[str, str]) -> Path:
        """A bare repository with one commit of these files on main; answers its path."""
        bare = self.root / f"{name}.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
        self.push(bare, files)
        return bare

    def push(self, bare: Path, files: dict[str, str], *, branch: str = "main") -> str:
        """Commit the files onto the branch; answers the commit."""
        work = self.root / f"{bare.stem}-work"
        if not work.exists():
            self.git("clone", "-q", str(bare), str(work), cwd=self.root)
        self.git("checkout", "-q", "-B", branch, cwd=work)
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        self.git("add", "-A", cwd=work)
        self.git("commit", "-q", "--allow-empty", "-m", "x", cwd=work)
        self.git("push", "-q", "-f", "origin", branch, cwd=work)
        return self.git("rev-parse", "HEAD", cwd=work)

    def git(self, *words: str, cwd: Path) -> str:
        argv = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always", *words]
        return subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()

    def job(self, **payload: Any) -> int:
        """Queue a job for app ``appId`` (default: the job's number)."""
        self._ids[0] += 1
        number = self._ids[0]
        filled = {
            "userId": 1,
            "appId": number,
            "containerPort": 3000,
            "imageTag": "latest",
            "gitRef": "main",
            "acrRegistry": self.registry.address,
            "acrNamespace": "t",
            **payload,
        }
        filled.setdefault("basePath", f"/runtime/{filled['appId']}")
        return self.deploy.put({**_job(number, filled, self.agent_port), "attempt": 1, "leaseToken": f"lease-token-{number}"})

    def build(self, bare: Path, **payload: Any) -> int:
        return self.job(repoSshUrl=self.sshd.url(bare), **payload)

    async def ended(self, job_id: int, seconds: float = 60) -> dict[str, Any]:
        """Wait for the job's report and answer it."""
        report = await eventually(
            lambda: self.deploy.reports.get(job_id),
            seconds=seconds,
            what=f"job {job_id} is reported: {self.deploy.log(job_id)}",
        )
        assert report
        return report

    def start(self) -> None:
        self._stop = asyncio.Event()
        self._task = asyncio.create_task(serve(self.settings, self._stop))

    async def stop(self) -> None:
        self._stop.set()
        if self._task:
            await self._task
            self._task = None

    async def nothing_left(self, *numbers: str, seconds: float = 20) -> None:
        """Wait until no leftovers are there, nor a process with one of these ``numbers``; a failure says what is."""

        def left() -> list[str]:
            return [*self.leftovers(), *(f"sleep {n}" for n in numbers if processes(n))]

        try:
            await eventually(lambda: not left(), seconds=seconds)
        except Deadline:
            raise Deadline(f"still there: {left()}") from None

    def leftovers(self) -> list[str]:
        """Whatever a job may not leave: its folder, the builder's containers, its control group, its processes."""
        jobs = self.settings.workdir / "jobs"
        left = [str(p) for p in jobs.iterdir()] if jobs.exists() else []
        for parent in Path("/sys/fs/cgroup").glob(f"*/{self.settings.cgroup_parent}"):
            left += [str(p) for p in parent.iterdir() if p.is_dir()]
        return left or self.podman.cli("ps", "--all", "--external", "--quiet").split()  # a program more: asked last


def processes(word: str) -> list[str]:
    """Process ids of ``sleep WORD`` on this machine."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[:2] == [b"sleep", word.encode()]:
            found.append(entry.parent.name)
    return found


def _ok(data: Any) -> dict[str, Any]:
    return {"code": 200, "message": "ok", "data": data}


def _job(number: int, payload: dict[str, Any], agent_port: int = 0, *, status: str = "PENDING") -> dict[str, Any]:
    url = f"http://127.0.0.1:{agent_port}"
    node = {"id": 1, "name": "n1", "agentBaseUrl": url, "gatewayBaseUrl": url}
    return {
        "id": number,
        "type": "BUILD_AND_DEPLOY",
        "status": status,
        "payload": json.loads(json.dumps(payload)),
        "runtimeNode": node,
        "createdAt": NOW,
        "updatedAt": NOW,
    }


@asynccontextmanager
async def world_of(
    podman: Podman, registry: Registry, sshd: Sshd, root: Path, settings: dict[str, Any]
) -> AsyncIterator[World]:
    """The world with its Runner started; stopped on leaving."""
    deploy, agent = FakeDeploy(), FakeAgent()
    known = root / "known_hosts"
    known.write_text(sshd.known_hosts())
    async with (
        serving(deploy.app(), bind("127.0.0.1", 0), grace=0) as deploy_port,
        serving(agent.app(), bind("127.0.0.1", 0), grace=0) as agent_port,
    ):
        values: dict[str, Any] = {
            "deploy_base_url": f"http://127.0.0.1:{deploy_port}",
            "runner_id": "runner-test",
            "agent_token": "agent-token-1",
            "ssh_key_path": sshd.client_key,
            "known_hosts_path": known,
            "workdir": root / "work",
            "registry": registry.address,
            "cgroup_parent": f"funai-test-{os.getpid()}",
            "retry_seconds": 3,
            "poll_seconds": 0.1,
            "stop_seconds": 30,
            "private_registries": ["127.0.0.1:9", registry.address.replace("127.0.0.1", "localhost")],
            "bases_dir": podman.slot.folder / "base-stores",
            "machine_images": ["*"],
            **settings,
        }
        world = World(deploy, agent, RunnerSettings(**values), podman, registry, sshd, root, agent_port)
        world.start()
        try:
            yield world
        finally:
            await world.stop()
            for parent in Path("/sys/fs/cgroup").glob(f"*/{world.settings.cgroup_parent}"):
                parent.rmdir()


MakeWorld = Callable[..., Any]
