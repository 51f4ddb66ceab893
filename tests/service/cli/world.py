"""The API on a loopback port, beside Deploy, in a thread of its own; a hand that plays the runner; the command line."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typer.testing import CliRunner

from funai.base.aio import bind, serving
from funai.cli.main import build
from tests.service.api.platform import PASSWORD, SECRET, Platform

T = TypeVar("T")


class Said:
    """What the command line answered."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """A JSON stream's lines."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> Any:
        return json.loads(self.err)["error"]

    def __repr__(self) -> str:
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


class Watcher:
    """Writes down how the API answered."""

    def __init__(self, app: ASGIApp, answers: list[tuple[str, int]]) -> None:
        self.app, self.answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answers.append((scope["path"], message["status"]))
            await send(message)

        await self.app(scope, receive, sending)


class World:
    """``funai(…)`` runs a command line against the platform; ``later(…)`` does something in the platform meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Holds the person's ``home`` and ``work``."""
        self.user = ""
        images = ["registry.test:5000/platform"]
        self.platform = Platform(folder, registrations=1_000, login_attempts=1_000, image_namespaces=images)
        self.url = ""
        self.answers: list[tuple[str, int]] = []
        self.loop: asyncio.AbstractEventLoop
        self.app = build()

    @contextmanager
    def running(self) -> Iterator[World]:
        up, stop = threading.Event(), asyncio.Event()

        async def serve() -> None:
            self.loop = asyncio.get_running_loop()
            outer = FastAPI(title="api under test")  # the platform's own lifespan is already running
            outer.add_middleware(Watcher, answers=self.answers)
            async with self.platform.running():
                outer.mount("/", self.platform.api)
                async with serving(outer, bind("127.0.0.1", 0), grace=1) as port:
                    self.url = f"http://127.0.0.1:{port}"
                    up.set()
                    await stop.wait()
                    self.platform.core.stop.set()

        with ThreadPoolExecutor(1) as threads:
            ended = threads.submit(asyncio.run, serve())
            ended.add_done_callback(lambda _: up.set())
            assert up.wait(60), "the API did not come up"
            if ended.done():
                ended.result()  # raises what kept it from coming up
            try:
                yield self
            finally:
                self.loop.call_soon_threadsafe(stop.set)
                ended.result(60)

    @property
    def environment(self) -> dict[str, str]:
        home = str(self.folder / "home")
        return {
            "HOME": home,
            "XDG_CONFIG_HOME": f"{home}/.config",
            "FUNAI_SERVER": self.url,
            "FUNAI_LANG": "en",
            "FUNAI_API_KEY": "",
        }

    def funai(self, *words: object, input: str | None = None, **env: str) -> Said:
        done = CliRunner().invoke(self.app, [str(w) for w in words], input=input, env={**self.environment, **env})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Said(done.exit_code, done.stdout, done.stderr)

    def ok(self, *words: object, **kw: Any) -> Said:
        said = self.funai(*words, **kw)
        assert said.code == 0, said
        return said

    def later(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def now(self, work: Coroutine[Any, Any, T]) -> T:
        return self.later(work).result(60)

    def move_to(self, folder: Path, user: str) -> None:
        """Somebody new, in an empty home."""
        (folder / "home").mkdir()
        (folder / "work").mkdir()
        self.folder, self.user = folder, user

    async def calm(self) -> None:
        """End what a test left under way."""
        headers = {"X-DEPLOY-SECRET": SECRET}
        jobs = (await self.platform.inside.get("/deploy/jobs", params={"limit": 200}, headers=headers)).json()["data"]
        for job in jobs:
            if job["status"] in ("PENDING", "RUNNING"):
                await self.platform.inside.post(f"/deploy/jobs/{job['id']}/cancel", headers=headers)

    def register(self, name: str) -> Said:
        return self.ok("register", "-u", name, "--password-stdin", input=f"{PASSWORD}\n")

    def create_app(self, name: str) -> int:
        return int(self.ok("apps", "create", name, "--json").document["id"])

    async def run_job(
        self,
        log: str = "",
        phases: tuple[str, ...] = ("CLONE", "BUILD", "PUSH", "DEPLOY"),
        status: str = "SUCCEEDED",
        **more: Any,
    ) -> dict[str, Any]:
        """A runner takes the next job, goes through its phases with a log, and reports."""
        job = await self.platform.claim()
        path = f"/deploy/jobs/{job['id']}"
        if log:
            await self._post(f"{path}/logs", {"runnerId": "r1", "offset": 0, "chunk": log})
        for phase in phases:
            beat = {"runnerId": "r1", "phase": phase, "phaseMessage": f"at {phase}", "leaseToken": job["leaseToken"]}
            await self._post(f"{path}/heartbeat", beat)
        await self.platform.report(job, status, **more)
        return job

    async def _post(self, path: str, body: dict[str, Any]) -> None:
        answer = await self.platform.inside.post(path, json=body)
        assert answer.status_code == 200, answer.text
