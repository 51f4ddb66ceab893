"""Rounds of faults on one platform, and what must hold in each."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import httpx

from benchmarks.chaos.faults import Fault, Part, inflicted
from benchmarks.chaos.visitors import Visits
from funai.contracts.accounts import App, CreateDeploy
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import Job
from funai.contracts.reasons import Blame
from funai.contracts.states import JobStatus
from tests.e2e.up.world import DOCKERFILE, Person, Platform, project
from tests.parts.waiting import eventually

PHASES = ("CLAIM", "CLONE", "BUILD", "PUSH", "DEPLOY", "IDLE")
HOLD = 3.0
"""Seconds that a fault lasts."""
JOB_SECONDS, BACK_SECONDS = 180.0, 60.0
AFTERMATH = 3.0
"""Seconds after the end of a gateway's fault within which requests may still fail: it is started again."""
SLOW_BUILD = DOCKERFILE.replace("COPY . .", "COPY . .\nRUN sleep 1")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass
class Tally:
    rounds: int = 0
    jobs: int = 0
    succeeded: int = 0
    failed: int = 0
    retried: int = 0
    violations: list[str] = field(default_factory=list[str])
    outcomes: dict[str, int] = field(default_factory=dict[str, int])
    messages: list[str] = field(default_factory=list[str])

    def wrong(self, where: str, what: str) -> None:
        self.violations.append(f"{where}: {what}")
        say(f"  ✗ {where}: {what}")


@dataclass
class Served:
    """One app of the rounds: what was pressed last, and what may be seen."""

    person: Person
    app: App
    version: int = 0
    live: str = ""


class Rounds:
    def __init__(
        self, platform: Platform, parts: Sequence[Part], seed: int, ended: Callable[[], Sequence[str]] = lambda: ()
    ) -> None:
        """``ended`` answers which processes ended by themselves, and starts them again."""
        self._ended = ended
        self._platform, self.parts, self._random = platform, parts, random.Random(seed)
        self.failed_outside = 0
        self._only = (tuple[str, ...](), tuple[str, ...]())
        self.tally, self.visits, self._urls = Tally(), Visits(), dict[int, str]()
        self._excused: list[tuple[float, float]] = []

    def chosen(self, faults: Sequence[str], phases: Sequence[str]) -> None:
        """Only these faults and phases; all of them where none are named."""
        self._only = (tuple(faults), tuple(phases))

    def plan(self, count: int) -> Iterable[tuple[Part, Fault, str]]:
        """Every combination once, in a random order, before any comes again."""
        faults, phases = self._only
        every = [
            (part, fault, phase)
            for part, phase in product(self.parts, phases or PHASES)
            for fault in part.faults
            if not faults or fault in faults
        ]
        while True:
            for chosen in self._random.sample(every, len(every)):
                if not count:
                    return
                count -= 1
                yield chosen

    async def run(self, count: int, apps: int) -> None:
        served = [await self._first(n) for n in range(apps)]
        async with self.visits.of(self._urls):
            for number, (part, fault, phase) in enumerate(self.plan(count)):
                one = served[number % len(served)]
                where = f"{number + 1} {fault} {part.name} in {phase}"
                say(where)
                await self._round(where, one, part, fault, phase)
                self.tally.rounds += 1
        for one in served:
            await one.person.api.delete_app(one.person.user_id, one.app.id)
            await one.person.api.close()
        self._judge_visits()

    async def _first(self, number: int) -> Served:
        person = await self._platform.person(f"chaos-{number}")
        app = await person.app("app", project("v0"))
        job = await person.deploy(app)
        assert job.status is JobStatus.SUCCEEDED, job.error_message
        self.visits.versions[app.id] = {"v0"}
        one = Served(person, app, live="v0")
        await self._locate(one)
        return one

    async def _locate(self, one: Served) -> None:
        """Where the app is visited: at the gateway of its node."""
        seen = await one.person.info(one.app)
        assert seen.deploy_access_url, seen
        self._urls[one.app.id] = seen.deploy_access_url

    async def _round(self, where: str, one: Served, part: Part, fault: Fault, phase: str) -> None:
        one.version += 1
        text, key = f"v{one.version}", secrets.token_hex(8)
        await one.person.push(one.app, project(text, dockerfile=SLOW_BUILD))
        self.visits.versions[one.app.id] = {one.live, text}
        self.tally.jobs += 1
        job = await one.person.api.deploy(one.person.user_id, one.app.id, CreateDeploy(), idempotency_key=key)
        if phase != "CLAIM":
            await self._until(one.person, job.id, phase)
        began = time.monotonic()
        async with inflicted(part, fault):
            await asyncio.sleep(HOLD)
        if part.serves:
            self._excused.append((began - 0.2, time.monotonic() + AFTERMATH))
        ended = await self._end(where, one, job.id)
        if ended is None:
            return
        await self._judge(where, one, ended, part, text, key)

    async def _until(self, person: Person, job_id: int, phase: str) -> None:
        """The job is in this phase, or past it; IDLE is its end."""

        async def there() -> bool:
            job = await person.api.job(job_id)
            now = str(job.payload.get("phase") or "")
            return job.status.final or (phase != "IDLE" and now in PHASES and PHASES.index(now) >= PHASES.index(phase))

        await eventually(there, seconds=JOB_SECONDS, every=0.02, what=f"job {job_id} in {phase}")

    async def _end(self, where: str, one: Served, job_id: int) -> Job | None:
        """The job's end, through a platform that may still be coming back."""
        deadline = time.monotonic() + JOB_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(FunaiError, httpx.HTTPError):
                job = await one.person.api.job(job_id)
                if job.status.final:
                    return job
            await asyncio.sleep(0.1)
        self.tally.wrong(where, f"job {job_id} did not end within {JOB_SECONDS:g} s")
        return None

    async def _judge(self, where: str, one: Served, job: Job, part: Part, text: str, key: str) -> None:
        tally = self.tally
        tally.retried += (job.attempt or 1) > 1
        if job.status is JobStatus.SUCCEEDED:
            tally.succeeded += 1
            one.live = text
        else:
            tally.failed += 1
            self._failed(where, job, part)
        try:
            await eventually(lambda: self._serves(one), seconds=BACK_SECONDS, every=0.1, what=f"{one.live} is served")
        except AssertionError:
            tally.wrong(where, f"app {one.app.id} does not serve {one.live} {BACK_SECONDS:g} s after {job.status}")
        self.visits.versions[one.app.id] = {one.live}
        if gone := await asyncio.to_thread(self._ended):
            tally.wrong(where, f"{', '.join(gone)} ended")
        again = await one.person.api.deploy(one.person.user_id, one.app.id, CreateDeploy(), idempotency_key=key)
        if again.id != job.id:
            tally.wrong(where, f"the same key gave job {again.id} beside {job.id}")

    def _failed(self, where: str, job: Job, part: Part) -> None:
        """A failed job has a code that its fault explains, and blames nobody's code."""
        code, said = str(job.failure.code) if job.failure else str(job.reason), job.error_message or ""
        self.tally.outcomes[code] = self.tally.outcomes.get(code, 0) + 1
        self.tally.messages.append(f"{where}: {code}: {said}")
        say(f"  {code}: {said}")
        if job.failure is None or job.failure.blame is Blame.USER:
            self.tally.wrong(where, f"{code} blames the user")
        elif job.failure.code not in part.allowed:
            self.tally.wrong(where, f"{code} where only {sorted(part.allowed) or 'success'} is right")

    async def _serves(self, one: Served) -> bool:
        with contextlib.suppress(httpx.HTTPError, FunaiError):
            await self._locate(one)
            async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
                answer = await http.get(self._urls[one.app.id])
                return (answer.status_code, answer.text) == (200, one.live)
        return False

    def _judge_visits(self) -> None:
        outside = [b for b in self.visits.bad if not any(begin <= b.at <= end for begin, end in self._excused)]
        for bad in outside[:20]:
            self.tally.wrong("visitors", f"app {bad.app_id}: {bad.what}")
        for stale in self.visits.stale[:20]:
            self.tally.wrong("visitors", f"app {stale.app_id} answered {stale.what}")
        self.failed_outside = len(outside)

    def report(self) -> dict[str, Any]:
        t = self.tally
        return {
            "rounds": t.rounds,
            "jobs": t.jobs,
            "succeeded": t.succeeded,
            "failed": t.failed,
            "retried": t.retried,
            "failures": t.outcomes,
            "messages": t.messages,
            "requests": self.visits.requests,
            "failed_requests": len(self.visits.bad),
            "failed_requests_outside": self.failed_outside,
            "stale_answers": len(self.visits.stale),
            "violations": t.violations,
            "clean": not t.violations,
        }
