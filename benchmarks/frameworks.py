"""What people deploy, opened in a browser: ``python -m benchmarks.frameworks`` prints one JSON line last.

Eleven small apps (``tests/frameworks/apps``) are deployed unchanged to a `funai up` of its own and used in Debian's Chromium
under a host name of their own and below ``/runtime/{id}/``; then with the recipes of docs/frameworks.md on a platform without
host names.

* ``frameworks_ok_host``, ``frameworks_ok_path``, ``frameworks_ok_recipe``: apps where every step of a visit works and the
  browser reports nothing; ``console_errors`` and ``failed_requests`` are all that it reported, by form;
* ``{app}_cold_ms``, ``{app}_warm_ms`` for Vite and Next: from the API's POST to the job's end, for a new app and after a
  change of one line; ``{app}_plain_warm_ms``: `git clone`, the engine's own build with its layer cache, push, run and the first
  answer, for the same change in the same run. The medians of ``--rounds``.

Packages come from the npm registry; without one there is nothing to measure, and that is said.
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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.async_api import Browser, async_playwright

from funai.contracts.accounts import App, CreateDeploy
from funai.contracts.states import JobStatus
from funai.standalone.layout import load_secrets
from funai.standalone.parts import engine as engines
from funai.standalone.parts import registry
from tests.e2e.up.world import Person, Platform
from tests.frameworks import kit
from tests.parts.browser import launch

BUILD_SECONDS = 900
TIMED = {"vite": ("vite-react", "src/Home.tsx"), "next": ("next15", "app/page.tsx")}
"""The app of a figure, and the file whose heading is changed."""
PLAIN = """FROM node:20-bookworm-slim
ARG NPM_REGISTRY
ARG NODE_EXTRA_CA_CERTS
WORKDIR /app
COPY package.json package-lock.json ./
RUN if [ -n "$NPM_REGISTRY" ]; then export npm_config_registry="$NPM_REGISTRY"; fi; npm ci
COPY . .
RUN npm run build
EXPOSE 3000
CMD ["npm", "start"]
"""
CA_IN_PLAIN = "/etc/ssl/bench-ca.pem"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def build_ca() -> str:
    """Certificate authorities that the registry needs beside the public ones, as the operator of this machine has set them."""
    return os.environ.get("RUNNER_BUILD_CA") or os.environ.get("NODE_EXTRA_CA_CERTS") or ""


def npm_registry() -> str:
    return os.environ.get("NPM_REGISTRY") or "https://registry.npmjs.org/"


def reachable(url: str) -> bool:
    try:
        return httpx.get(url, timeout=20).status_code < 500
    except httpx.HTTPError:
        return False


@dataclass
class Report:
    """``visits`` by form and app."""

    visits: dict[str, dict[str, kit.Visit]] = field(default_factory=dict[str, dict[str, kit.Visit]])
    figures: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def note(self, form: str, name: str, visit: kit.Visit) -> None:
        self.visits.setdefault(form, {})[name] = visit
        say(f"  {form:<7} {name:<17} {'ok' if visit.ok else 'NOT OK'}")
        for line in (*visit.steps, *visit.console, *visit.requests, *visit.icons):
            say(f"            {line[:220]}")

    def figure(self, name: str, ms: float) -> None:
        self.figures.setdefault(name, []).append(ms)
        say(f"  {name:<22} {ms:8.0f} ms")

    def line(self) -> dict[str, Any]:
        out: dict[str, Any] = {"apps": max(map(len, self.visits.values()), default=0)}
        for form, visits in self.visits.items():
            out[f"frameworks_ok_{form}"] = sum(v.ok for v in visits.values())
            out[f"not_ok_{form}"] = [name for name, v in visits.items() if not v.ok]
            out[f"console_errors_{form}"] = sum(len(v.console) for v in visits.values())
            out[f"failed_requests_{form}"] = sum(len(v.requests) for v in visits.values())
            out[f"missing_icons_{form}"] = sum(len(v.icons) for v in visits.values())
        out |= {name: round(statistics.median(values)) for name, values in self.figures.items()}
        for name in TIMED:
            if plain := out.get(f"{name}_plain_warm_ms"):
                out[f"{name}_warm_ratio"] = round(out[f"{name}_warm_ms"] / plain, 3)
        return out


@dataclass
class Bench:
    up: Platform
    person: Person
    browser: Browser
    report: Report

    async def deploy(self, name: str, app: App, files: Mapping[str, str | bytes]) -> float | None:
        """Milliseconds from POST to the job's end; None when it failed."""
        await self.person.push(app, files)
        began = time.perf_counter()
        job = await self.person.api.deploy(self.person.user_id, app.id, CreateDeploy())
        job = await self.person.ended(job.id, BUILD_SECONDS)
        took = (time.perf_counter() - began) * 1000
        if job.status is JobStatus.SUCCEEDED:
            return took
        log = (await self.person.api.job_log(job.id, 0)).chunk
        say(f"  {name}: {job.error_message}\n{log[-3000:]}")
        return None

    async def visited(self, form: str, name: str, url: str) -> None:
        context = await self.browser.new_context()
        try:
            self.report.note(form, name, await kit.visit(context, name, url))
        finally:
            await context.close()

    async def unchanged(self, name: str) -> App:
        app = await self.person.app(name)
        if await self.deploy(name, app, kit.files_of(name)) is None:
            for form in ("host", "path"):
                self.report.note(form, name, kit.Visit(["deploy: it failed"]))
            return app
        info = await self.person.info(app)
        await self.visited("host", name, str(info.access_url))
        await self.visited("path", name, f"{self.up.gateway_url}/runtime/{app.id}/")
        await self.stop(app)
        return app

    async def stop(self, app: App) -> None:
        """Make room: a person may have three apps running."""
        await self.person.api.app_call("stop", self.person.user_id, app.id)

    async def with_recipe(self, name: str, app: App) -> None:
        if await self.deploy(name, app, kit.files_of(name, recipe=True)) is None:
            self.report.note("recipe", name, kit.Visit(["deploy: it failed"]))
        else:
            await self.visited("recipe", name, f"{self.up.gateway_url}/runtime/{app.id}/")
            await self.stop(app)

    async def timed(self, figure: str, rounds: int) -> None:
        """Platform and plain commands take turns, so that both see the same machine."""
        name, changed = TIMED[figure]
        files = kit.files_of(name)
        app = await self.person.app(f"{name}-timed")
        plain = Plain(self.up, app)
        files[changed] = str(files[changed]).replace("Guestbook", f"Guestbook {secrets.token_hex(4)}")
        if (cold := await self.deploy(name, app, files)) is None:
            return
        self.report.figure(f"{figure}_cold_ms", cold)
        await asyncio.to_thread(plain.round)
        for _ in range(rounds):
            files[changed] = str(files[changed]).replace("<h1>Guestbook", "<h1>A Guestbook")
            warm = await self.deploy(name, app, files)
            assert warm is not None
            self.report.figure(f"{figure}_warm_ms", warm)
            self.report.figure(f"{figure}_plain_warm_ms", await asyncio.to_thread(plain.round))
        await self.person.api.delete_app(self.person.user_id, app.id)


class Plain:
    """The same change by the engine's own commands, one after the other."""

    def __init__(self, up: Platform, app: App) -> None:
        self._up, self._app = up, app
        layout = up.layout
        registry_secrets, _ = load_secrets(layout.secrets_file)
        self._auth = up.data_dir.parent / "auth.json"
        self._auth.write_text(registry.docker_auth(up.ports.registry, registry_secrets))
        self._env = {**os.environ, **up.engine.environment, "CONTAINERS_REGISTRIES_CONF": str(layout.registries_conf)}
        self._env["GIT_SSH_COMMAND"] = (
            f"ssh -F none -i {layout.runner_key} -o IdentitiesOnly=yes -o UserKnownHostsFile={layout.known_hosts}"
        )

    def round(self) -> float:
        source = self._up.data_dir.parent / f"plain-{secrets.token_hex(4)}"
        image = f"127.0.0.1:{self._up.ports.registry}/library/plain-{self._app.id}:latest"
        podman = self._up.engine.kind == "podman"
        began = time.perf_counter()
        self._shell("git", "clone", "--quiet", "--depth", "1", str(self._app.repo_ssh_url), str(source))
        (source / "Dockerfile").write_text(PLAIN)
        (source / ".dockerignore").write_text("node_modules\n.git\n")
        # The container of `podman run` has the limits that the platform gives to an app's.
        self._shell(self._up.engine.binary, "build", "--quiet", *self._build_words(podman), "--tag", image, str(source))
        self._shell(self._up.engine.binary, "push", "--quiet", *(("--authfile", str(self._auth)) if podman else ()), image)
        self._run(image)
        took = (time.perf_counter() - began) * 1000
        self._shell(self._up.engine.binary, "rm", "--force", "--time", "0", "funai-bench-plain")
        shutil.rmtree(source)
        return took

    def _build_words(self, podman: bool) -> list[str]:
        words = ["--network", "host", "--build-arg", f"NPM_REGISTRY={os.environ.get('NPM_REGISTRY', '')}"]
        words += ["--ulimit", "nofile=4096:4096"]
        if (ca := build_ca()) and podman:
            words += ["--volume", f"{ca}:{CA_IN_PLAIN}:ro", "--build-arg", f"NODE_EXTRA_CA_CERTS={CA_IN_PLAIN}"]
        return words

    def _run(self, image: str) -> None:
        limits = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")
        binary = self._up.engine.binary
        self._shell(binary, "run", "--detach", *limits, "--name", "funai-bench-plain", "--publish", "127.0.0.1::3000", image)
        where = self._shell(binary, "port", "funai-bench-plain", "3000").splitlines()[0]
        deadline = time.perf_counter() + BUILD_SECONDS
        while time.perf_counter() < deadline:
            try:
                if httpx.get(f"http://{where}/", trust_env=False, timeout=5).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.02)
        raise SystemExit(f"{image} never answered")

    def _shell(self, *argv: str) -> str:
        done = subprocess.run(argv, env=self._env, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)}: {done.stdout[-800:]}{done.stderr[-800:]}")
        return done.stdout.strip()


async def measure(names: Sequence[str], parts: Sequence[str], rounds: int) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="funai-frameworks-"))
    up = Platform(folder / "data", await engines.choose(), patience=BUILD_SECONDS)
    report = Report()
    if ca := build_ca():
        os.environ["RUNNER_BUILD_CA"] = ca
    # A registry that this machine reaches by a private address is the operator's choice.
    os.environ.setdefault("RUNNER_BUILD_ALLOW", str(urlsplit(npm_registry()).hostname))
    try:
        await asyncio.to_thread(up.start)
        person = await up.person("bench")
        async with async_playwright() as playwright, launch(playwright) as browser:
            bench = Bench(up, person, browser, report)
            apps: dict[str, App] = {}
            for name in names if "unchanged" in parts else ():
                apps[name] = await bench.unchanged(name)
            for figure in TIMED if "timed" in parts else ():
                await bench.timed(figure, rounds)
            if "recipe" in parts:
                await asyncio.to_thread(up.stop)
                await asyncio.to_thread(up.start, "--apps-domain", "none")
                for name in names:
                    await bench.with_recipe(name, apps.get(name) or await person.app(name))
        await person.api.close()
    except BaseException:
        say(up.output[-4000:])
        raise
    finally:
        await asyncio.to_thread(up.destroy)
        shutil.rmtree(folder, ignore_errors=True)
    return report.line()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", action="append", choices=kit.NAMES, help="only this one (may be repeated)")
    parser.add_argument("--part", action="append", choices=("unchanged", "timed", "recipe"), help="only this part")
    parser.add_argument("--rounds", type=int, default=3, help="changes of one line that are timed")
    args = parser.parse_args()
    if not reachable(npm_registry()):
        say(f"{npm_registry()} can't be reached: no packages to build from, nothing measured")
        print(json.dumps({"skipped": "no npm registry"}))
        return
    figures = asyncio.run(measure(args.app or kit.NAMES, args.part or ("unchanged", "timed", "recipe"), args.rounds))
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
