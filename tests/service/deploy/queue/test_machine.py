"""The real store against the model, on real databases, with a clock the machine moves: Hypothesis looks for a story in
which they differ. A planted bug (a fence taken away) must be found."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from prometheus_client import CollectorRegistry
from sqlalchemy import BigInteger, String, and_, bindparam, delete, literal_column, select, text

from funai.base.db.engine import Database
from funai.contracts.errors import Conflict
from funai.contracts.states import JobStatus
from funai.deploy import main
from funai.deploy.queue.endings import Ending
from funai.deploy.queue.maintenance.services import assemble
from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.statements import RUNNING, Statements
from funai.deploy.queue.store import JobStore, NewJob
from funai.deploy.queue.transitions import Holder
from funai.deploy.queue.waiters import Waiters
from funai.deploy.settings import QueueOrder
from funai.deploy.tables import job, job_event
from tests.parts.extent import extent, only_in_full
from tests.service.deploy.queue.kit import settings as deploy_settings
from tests.service.deploy.queue.model import Hold, Model, ModelJob
from tests.service.deploy.queue.neighbours import OneNode, Recorded

RUNNERS = st.sampled_from(["r1", "r2", "r3"])
EFFORT = settings(
    max_examples=extent(4, 25),
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),  # pyright: ignore[reportArgumentType]  # its metaclass hides it
    report_multiple_bugs=False,
)


class QueueMachine(RuleBasedStateMachine):
    """Set ``url`` and ``loop`` in a subclass. ``unfenced``: the planted bug."""

    url: str
    loop: asyncio.Runner
    fair = True
    unfenced = False

    def __init__(self) -> None:
        super().__init__()
        self.model = Model(fair=self.fair)
        self.placer, self.recorded = OneNode(), Recorded()
        self.holds: list[Hold] = []

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run(work)

    @initialize()
    def begin(self) -> None:
        """Every story begins with work at hand: Hypothesis switches rules off at random, also the ones that make it."""
        self.open()
        self.run(self.wipe())
        for app in (1, 2, 3):
            self.create(app=app, user=1 + app % 2)
        self.claim(runner="r1", lease=5_000)

    def open(self) -> None:
        self.db = Database(self.url, pool_size=2)
        now = literal_column("(SELECT now_ms FROM test_clock)", BigInteger)
        order = QueueOrder.FAIR if self.fair else QueueOrder.FIFO
        self.store = JobStore(self.db, placer=self.placer, releases=self.recorded, order=order, now=now)
        if self.unfenced:
            self.store.sql = Unfenced(self.db.dialect, now)
        given = deploy_settings(
            self.url,
            max_attempts=self.model.max_attempts,
            retry_backoff_seconds=self.model.backoff / 1000,
            max_running_seconds=self.model.max_running // 1000,
            max_waiting_seconds=self.model.max_waiting // 1000,
        )
        self.tender = assemble(self.store, given, Waiters(), JobMetrics(CollectorRegistry())).tender
        self.tender.limits.waits_every = 0

    async def wipe(self) -> None:
        async with self.db.write() as conn:
            await conn.execute(delete(job_event))
            await conn.execute(delete(job))
            await conn.execute(text("DELETE FROM test_clock"))
            await conn.execute(text("INSERT INTO test_clock VALUES (:n)"), {"n": self.model.now})

    def teardown(self) -> None:
        if hasattr(self, "db"):
            self.run(self.db.close())

    # ------------------------------------------------------------------ rules

    @rule(app=st.integers(1, 5), user=st.integers(1, 3))
    def create(self, app: int, user: int) -> None:
        turn, refused = self.model.turn_for(user), self.model.refuses_app(app)
        new = NewJob("BUILD_AND_DEPLOY", app, user, {"appId": app, "userId": user})
        reason, row = self.attempt(self.store.create(new))
        if refused:
            assert reason == "APP_DEPLOYING"
            return
        assert reason is None, reason
        made = ModelJob(row.id, app, user, turn)
        assert made.id not in self.model.jobs, "an id is never given twice"
        self.model.jobs[made.id] = made

    @rule(runner=RUNNERS, lease=st.sampled_from([5_000, 30_000]))
    def claim(self, runner: str, lease: int) -> None:
        turn = self.run(self.store.claim(runner, lease))
        token = turn.claimed.row.lease_token if turn.claimed else None
        expected = self.model.claim(runner, token, lease)
        if expected is None:
            assert turn.claimed is None
            return
        assert turn.claimed is not None, "there was one to claim"
        row = turn.claimed.row
        assert (row.id, row.attempt, row.lease_expire_at) == (expected.id, expected.attempt, expected.lease)
        assert token and token not in {h.token for h in self.holds}, "a lease token is never given twice"
        self.holds.insert(0, Hold(expected.id, runner, token, expected.attempt))

    def hold(self, nth: int) -> Hold:
        """A claim of some time ago, 0 the latest: its runner may have lost it since."""
        return self.holds[nth % len(self.holds)]

    @rule(nth=st.integers(0, 3), with_token=st.booleans(), extend=st.sampled_from([5_000, 60_000]))
    def heartbeat(self, nth: int, with_token: bool, extend: int) -> None:
        hold = self.hold(nth)
        who = Holder(hold.runner, hold.token if with_token else None)
        reason, row = self.attempt(self.store.heartbeat(hold.job, who, extend, None, None))
        assert reason == self.model.heartbeat(hold, with_token, extend), "only the holder extends its lease"
        assert reason or row.status == self.model.jobs[hold.job].status

    @rule(
        nth=st.integers(0, 3),
        with_token=st.booleans(),
        status=st.sampled_from([JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED]),
    )
    def report(self, nth: int, with_token: bool, status: JobStatus) -> None:
        hold = self.hold(nth)
        who = Holder(hold.runner, hold.token if with_token else None)
        reason, _ = self.attempt(self.store.report(hold.job, who, Ending(status), None))
        assert reason == self.model.report(hold, with_token, status), "only the holder has the last word"

    @rule(nth=st.integers(0, 7))
    def cancel(self, nth: int) -> None:
        job_id = sorted(self.model.jobs)[-1 - nth % len(self.model.jobs)]
        reason, _ = self.attempt(self.store.finish(job_id, Ending(JobStatus.CANCELLED), "api"))
        assert reason == self.model.cancel(job_id)

    @rule(ms=st.sampled_from([1, 1_000, 4_999, 5_001, 30_001, 130_000]))
    def time_passes(self, ms: int) -> None:
        self.model.now += ms
        self.run(self._set_clock())

    async def _set_clock(self) -> None:
        async with self.db.write() as conn:
            await conn.execute(text("UPDATE test_clock SET now_ms = :n"), {"n": self.model.now})

    @rule()
    def sweep(self) -> None:
        self.run(self.tender.run_once())
        self.model.sweep()

    @rule(runner=RUNNERS)
    def runners_vanish(self, runner: str) -> None:
        """Every lease runs out and is swept, the backoff passes, and somebody claims again."""
        for ms in (60_001, 10_000):
            self.time_passes(ms)
            self.sweep()
        self.claim(runner, 30_000)

    @rule(able=st.booleans())
    def node_comes_or_goes(self, able: bool) -> None:
        self.placer.able = self.model.node = able
        if able:
            self.run(self.tender.promoter.node_able())
            self.model.node_able()

    @rule()
    def restart(self) -> None:
        self.run(self.db.close())
        self.open()

    def attempt(self, call: Coroutine[Any, Any, Any]) -> tuple[str | None, Any]:
        """(reason, None) when refused, (None, answer) otherwise."""
        try:
            answer = self.run(call)
        except Conflict as e:
            return e.reason, None
        if isinstance(answer, tuple):
            return None, cast("tuple[Any, ...]", answer)[0]
        return None, answer

    # ------------------------------------------------------------------ what always holds

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        if not hasattr(self, "db"):
            return
        rows, stories = self.run(self._state())
        assert rows == {
            j.id: (j.status, j.attempt, j.runner, j.token, j.lease, j.turn, j.claimable if j.status is JobStatus.PENDING else 1)
            for j in self.model.jobs.values()
        }
        assert stories == {j.id: j.story for j in self.model.jobs.values()}
        done = [j.id for j in self.model.jobs.values() if j.status is JobStatus.SUCCEEDED]
        assert sorted(self.recorded.jobs) == sorted(done), "a release for each success, and only once"

    async def _state(self) -> tuple[dict[int, Any], dict[int, list[str]]]:
        async with self.db.read() as conn:
            rows = (await conn.execute(select(job))).all()
            told = (await conn.execute(select(job_event).order_by(job_event.c.id))).all()
        state = {r.id: (r.status, r.attempt, r.runner_id, r.lease_token, r.lease_expire_at, r.turn, _open(r)) for r in rows}
        stories: dict[int, list[str]] = {}
        for e in told:
            if e.source != e.target:
                stories.setdefault(e.job_id, []).append(e.target)
        return state, stories


def _open(row: Any) -> int:
    return row.claimable if row.status == JobStatus.PENDING else 1


class Unfenced(Statements):
    """The planted bug: whoever names a running job may end it."""

    def _held(self, token: bool) -> Any:
        given = ["p_runner", "p_token"] if token else ["p_runner"]
        named = [bindparam(name, type_=String) != "" for name in given]
        return and_(job.c.id == bindparam("p_id"), RUNNING, *named)


@contextmanager
def machines(url: str) -> Iterator[Any]:
    """Makes machine classes over a fresh database, which it migrates."""
    with asyncio.Runner() as loop:
        loop.run(_prepare(url))

        def make(**traits: Any) -> type[QueueMachine]:
            return type("Machine", (QueueMachine,), {"url": url, "loop": loop, **traits})

        yield make


async def _prepare(url: str) -> None:
    db = Database(url)
    await main.upgrade(db)
    async with db.write() as conn:
        await conn.execute(text("CREATE TABLE test_clock (now_ms BIGINT NOT NULL)"))
    await db.close()


def test_the_store_is_the_model(database_url: str) -> None:
    with machines(database_url) as make:
        run_state_machine_as_test(make(), settings=EFFORT)


def test_plain_fifo_is_the_model_too(sqlite_url: str) -> None:
    with machines(sqlite_url) as make:
        run_state_machine_as_test(make(fair=False), settings=settings(EFFORT, max_examples=extent(3, 6)))


@only_in_full  # that the model is true is in every run; this shows that it can fail
def test_the_machine_finds_a_missing_fence(sqlite_url: str) -> None:
    effort = settings(EFFORT, max_examples=100, phases=[Phase.generate], print_blob=False)
    with machines(sqlite_url) as make, pytest.raises(AssertionError, match="only the holder"):
        run_state_machine_as_test(make(unfenced=True), settings=effort)
