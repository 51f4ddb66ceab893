"""Deploys on a real platform beside the same bare commands in sequence: ``python -m benchmarks.deploy``.

Every platform figure is the median from the API's POST to the first answer of the new process through the gateway's
public door; every floor is the median of `git clone --depth 1`, engine build, push, run and first 200, one after the
other, in the same run on the same machine. Milliseconds. The gateway's and the agent's own benchmarks follow, and one
JSON line comes last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from funai.contracts.accounts import App, CreateDeploy
from funai.contracts.jobs import Job
from funai.contracts.states import JobStatus
from funai.standalone.layout import load_secrets
from funai.standalone.parts import engine as engines
from funai.standalone.parts import registry
from tests.e2e.up.world import Person, Platform

SERVER = """
const http = require('http'), fs = require('fs');
const id = require('crypto').randomBytes(8).toString('hex');
http.createServer((q, s) => s.end(id + ' ' + fs.readFileSync('greeting.txt'))).listen(3000);
"""
DOCKERFILE = """FROM node:20-bookworm-slim
WORKDIR /app
COPY package.json ./
RUN node -e "require('fs').writeFileSync('installed', 'yes')"
COPY . .
EXPOSE 3000
CMD ["node", "server.js"]
"""
POLL = 0.005
ROUND_SECONDS = 120


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def files(greeting: str, salt: str) -> dict[str, str]:
    """A small project; another ``salt`` shares no layer with it but the base image's."""
    package = json.dumps({"name": "bench", "version": "1.0.0", "description": salt})
    return {"server.js": SERVER, "greeting.txt": greeting, "package.json": package, "Dockerfile": DOCKERFILE}


class Bench:
    def __init__(self, up: Platform, person: Person, engine: engines.EngineChoice, folder: Path) -> None:
        self.up, self.person, self.engine, self.folder = up, person, engine, folder
        self.phases: dict[str, list[dict[str, int]]] = {}
        layout = up.layout
        registry_secrets, _ = load_secrets(layout.secrets_file)
        self.auth = folder / "auth.json"
        self.auth.write_text(registry.docker_auth(up.ports.registry, registry_secrets))
        self.env = {**os.environ, **engine.environment, "CONTAINERS_REGISTRIES_CONF": str(layout.registries_conf)}
        self.env["GIT_SSH_COMMAND"] = (
            f"ssh -F none -i {layout.runner_key} -o IdentitiesOnly=yes -o UserKnownHostsFile={layout.known_hosts}"
        )

    def shell(self, *argv: str) -> str:
        """One bare command, as a person would type it."""
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, timeout=ROUND_SECONDS, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)}: {done.stderr[-800:]}")
        return done.stdout.strip()

    async def deploy(self, what: str, app: App, **wishes: Any) -> float:
        """Milliseconds from POST to the new process answering the public."""
        url = f"{self.up.gateway_url}/runtime/{app.id}/"
        async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
            before = await _identity(http, url)
            began = time.perf_counter()
            job = await self.person.api.deploy(self.person.user_id, app.id, CreateDeploy.model_validate(wishes))
            while (now := await _identity(http, url)) in ("", before):
                if time.perf_counter() - began > ROUND_SECONDS:
                    raise SystemExit(f"{what}: {(await self.person.api.job(job.id)).error_message}")
                await asyncio.sleep(POLL)
            took = (time.perf_counter() - began) * 1000
        assert now
        ended: Job = await self.person.ended(job.id)
        if ended.status is not JobStatus.SUCCEEDED:
            raise SystemExit(f"{what}: {ended.error_message}")
        if ended.result and ended.result.phases_ms:
            self.phases.setdefault(what, []).append(ended.result.phases_ms)
        return took

    def git_floor(self, what: str, app: App) -> float:
        """The bare commands in sequence, on the same repository."""
        source = self.folder / f"floor-{secrets.token_hex(4)}"
        name = f"127.0.0.1:{self.up.ports.registry}/library/floor-{app.id}:latest"
        steps: dict[str, Callable[[], object]] = {
            "clone": lambda: self.shell("git", "clone", "--quiet", "--depth", "1", str(app.repo_ssh_url), str(source)),
            "build": lambda: self.shell(self.engine.binary, "build", "--quiet", "--tag", name, str(source)),
            "push": lambda: self.push(name),
            "run": lambda: self._run_until_answer(name),
        }
        took: dict[str, int] = {}
        for step, work in steps.items():
            began = time.perf_counter()
            work()
            took[step] = round((time.perf_counter() - began) * 1000)
        self.phases.setdefault(f"{what}_floor", []).append(took)
        self._remove_floor()
        shutil.rmtree(source)
        return float(sum(took.values()))

    def run_floor(self, image: str) -> float:
        began = time.perf_counter()
        self._run_until_answer(image)
        took = (time.perf_counter() - began) * 1000
        self._remove_floor()
        return took

    def push(self, name: str) -> None:
        login = ("--authfile", str(self.auth)) if self.engine.kind == "podman" else ()
        self.shell(self.engine.binary, "push", "--quiet", *login, name)

    def _run_until_answer(self, image: str) -> None:
        self.shell(self.engine.binary, "run", "--detach", "--name", "funai-bench-floor", "--publish", "127.0.0.1::3000", image)
        where = self.shell(self.engine.binary, "port", "funai-bench-floor", "3000").splitlines()[0]
        deadline = time.perf_counter() + ROUND_SECONDS
        while time.perf_counter() < deadline:
            try:
                if httpx.get(f"http://{where}/", trust_env=False, timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(POLL)
        raise SystemExit(f"{image} never answered")

    def _remove_floor(self) -> None:
        self.shell(self.engine.binary, "rm", "--force", "--time", "0", "funai-bench-floor")


async def _identity(http: httpx.AsyncClient, url: str) -> str:
    """The answering process's own id; "" while none answers."""
    try:
        answer = await http.get(url)
    except httpx.HTTPError:
        return ""
    return answer.text.partition(" ")[0] if answer.status_code == 200 else ""


async def measure(bench: Bench, rounds: int) -> dict[str, float]:
    """Platform and floor take turns, so that both see the same machine."""
    person = bench.person
    figures: dict[str, list[float]] = {}

    async def note(name: str, value: float | Awaitable[float]) -> None:
        ms = value if isinstance(value, float) else await value
        figures.setdefault(name, []).append(ms)
        say(f"  {name:<22} {ms:8.0f} ms")

    app = await person.app("bench")
    for turn in range(max(2, rounds // 2)):
        await person.push(app, files("cold", secrets.token_hex(16)))
        await note("git_cold_floor_ms", bench.git_floor("git_cold", app))
        cold = await person.app(f"cold{turn}", files("cold", secrets.token_hex(16)))
        await note("git_cold_ms", bench.deploy("git_cold", cold))
        await person.api.delete_app(person.user_id, cold.id)
    salt = secrets.token_hex(16)
    image = f"127.0.0.1:{bench.up.ports.registry}/library/floor-{app.id}:latest"
    await person.push(app, files("warm-up", salt))
    await bench.deploy("warm_up", app)
    bench.git_floor("warm_up", app)
    for turn in range(rounds):
        await person.push(app, files(f"floor {turn}", salt))
        await note("git_warm_floor_ms", bench.git_floor("git_warm", app))
        await person.push(app, files(f"warm {turn}", salt))
        await note("git_warm_ms", bench.deploy("git_warm", app))
        # What is measured against this floor has it just before, as every other figure has its own.
        await note("same_commit_floor_ms", bench.run_floor(image))
        await note("same_commit_ms", bench.deploy("same_commit", app))
    await bench.deploy("warm_up", app, image=image, containerPort=3000)
    for _ in range(rounds):
        await note("prebuilt_floor_ms", bench.run_floor(image))
        await note("prebuilt_ms", bench.deploy("prebuilt", app, image=image, containerPort=3000))
    await person.api.delete_app(person.user_id, app.id)
    return {name: round(statistics.median(values), 1) for name, values in figures.items()}


def phase_medians(phases: dict[str, list[dict[str, int]]]) -> dict[str, dict[str, float]]:
    out: dict[str, dict[str, float]] = {}
    for what, rows in phases.items():
        names = {name for row in rows for name in row}
        out[what] = {n: statistics.median([row[n] for row in rows if n in row]) for n in sorted(names)}
    return {what: steps for what, steps in out.items() if not what.startswith("warm_up")}


async def on_platform(rounds: int, use: Callable[[Bench, int], Awaitable[dict[str, float]]]) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="funai-bench-"))
    engine = await engines.choose()
    up = Platform(folder / "data", engine)
    try:
        await asyncio.to_thread(up.start)
        person = await up.person("bench")
        bench = Bench(up, person, engine, folder)
        figures: dict[str, Any] = dict(await use(bench, rounds))
        figures["phases_ms"] = phase_medians(bench.phases)
        await person.api.close()
        return figures
    finally:
        await asyncio.to_thread(up.destroy)
        shutil.rmtree(folder, ignore_errors=True)


def other(module: str) -> dict[str, Any]:
    """Another benchmark's last line."""
    say(f"{module} …")
    done = subprocess.run([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True, check=True, timeout=1800)
    return json.loads(done.stdout.strip().splitlines()[-1])


def ratios(f: dict[str, Any]) -> dict[str, float]:
    pairs = {"git_cold": "git_cold", "git_warm": "git_warm", "same_commit": "same_commit", "prebuilt": "prebuilt"}
    return {f"{ours}_ratio": round(f[f"{ours}_ms"] / f[f"{floor}_floor_ms"], 3) for ours, floor in pairs.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="repetitions of each warm figure")
    parser.add_argument("--only-deploys", action="store_true", help="leave the gateway's and the agent's benchmarks out")
    args = parser.parse_args()
    figures = asyncio.run(on_platform(args.rounds, measure))
    figures |= ratios(figures)
    if not args.only_deploys:
        for module in ("benchmarks.gateway", "benchmarks.agent"):
            figures |= other(module)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
