"""The queue as its callers know it: create, claim (and wait), heartbeat, report, cancel."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncConnection

from funai.base.config.sealing import SealBroken, Sealer
from funai.base.observability import log
from funai.contracts import naming
from funai.contracts.errors import BadInput, Conflict, FunaiError, NotFound
from funai.contracts.jobs import ClaimJob, CreateJob, Failure, HeartbeatJob, Job, JobEvent, ReportJob, TransitionJob
from funai.contracts.reasons import FailureCode, Reason
from funai.contracts.states import JobStatus
from funai.deploy.queue import views
from funai.deploy.queue.endings import Ending
from funai.deploy.queue.maintenance.services import QueueMaintenance
from funai.deploy.queue.metrics import JobMetrics
from funai.deploy.queue.models import JobRow
from funai.deploy.queue.notify import Hints
from funai.deploy.queue.runners import RunnerRegistry
from funai.deploy.queue.store import JobStore, NewJob
from funai.deploy.queue.transitions import Holder
from funai.deploy.queue.waiters import Waiters
from funai.i18n.joblog import both
from funai.i18n.reasons import Words

LIST_POSITIONS = 200
SEAL_BROKEN = both("variables_sealed")
Gone = Callable[[], Awaitable[bool]]
"""Asks whether the caller hung up meanwhile."""


class JobService:
    """Composed in ``deploy/main.py``. ``sealer`` opens sealed variables for claims; None: there is no key here.

    ``ended`` are called with the id of every job that ended, after the COMMIT.
    """

    def __init__(
        self,
        store: JobStore,
        *,
        maintenance: QueueMaintenance,
        runners: RunnerRegistry,
        waiters: Waiters,
        hints: Hints,
        metrics: JobMetrics,
        sealer: Sealer | None,
        ended: Sequence[Callable[[int], object]] = (),
    ) -> None:
        self.store, self.maintenance, self.runners = store, maintenance, runners
        self.waiters, self.hints, self.metrics, self.sealer = waiters, hints, metrics, sealer
        self.ended = ended

    # ------------------------------------------------------------------ for the API

    async def create(self, ask: CreateJob) -> Job:
        """Raises Conflict APP_DEPLOYING, IDEMPOTENCY_MISMATCH; NotFound RELEASE_NOT_FOUND for a rollback to nothing."""
        try:
            given = ask.payload.model_dump(mode="json", by_alias=True, exclude_none=True)
        except ValueError as e:
            raise BadInput(Reason.BAD_INPUT, detail=Words("payload 嵌套过深", "payload: nested too deeply")) from e
        wanted = json.dumps([ask.type, given], sort_keys=True, ensure_ascii=False)
        payload, sealed = await _filled(self.store, self.sealer, ask, given)
        new = NewJob(
            type=str(ask.type),
            app_id=ask.payload.app_id,
            user_id=ask.payload.user_id,
            payload=payload,
            env_sealed=sealed,
            idempotency_key=ask.idempotency_key or None,
            request_hash=hashlib.sha256(wanted.encode()).hexdigest(),
        )
        row = await self.store.create(new)
        self.count_created(row)
        position = None
        with suppress(FunaiError):  # the job is there, whether or not its place in the line is known now
            position = await self.store.position(row)
        return views.job_of(row, position=position)

    def count_created(self, row: JobRow) -> None:
        """Once a job was made here: figures, one log line, and a runner that waits."""
        self.metrics.created.inc()
        log.get("jobs").info("job.created", job_id=row.id, app_id=row.app_id, user_id=row.user_id)
        if not self.waiters.wake():
            self.hints.send()

    async def get(self, job_id: int) -> Job:
        row = await self.store.get(job_id)
        return views.job_of(row, position=await self.store.position(row))

    async def by_key(self, key: str) -> Job:
        """The job created under this idempotency key. Raises NotFound JOB_NOT_FOUND."""
        row = await self.store.by_key(key)
        if row is None:
            raise NotFound(Reason.JOB_NOT_FOUND)
        return await self.get(row.id)

    async def latest(self, limit: int) -> list[Job]:
        return await _listed(self.store, await self.store.latest(limit))

    async def by_app(self, app_id: int, limit: int) -> list[Job]:
        return await _listed(self.store, await self.store.by_app(app_id, limit))

    async def events(self, job_id: int, limit: int) -> list[JobEvent]:
        """The job's audit trail, oldest first; what is left of it after the job itself was pruned."""
        async with self.store.db.read() as conn:
            found = await self.store.events.of_job(conn, job_id, limit)
        if not found:
            await self.store.get(job_id)
        return found

    async def cancel(self, job_id: int) -> Job:
        """Raises JOB_FINAL when it ended otherwise; cancelling a cancelled job changes nothing."""
        return await self._finish(job_id, Ending(JobStatus.CANCELLED, reason="CANCELLED"), "api")

    async def transition(self, job_id: int, ask: TransitionJob) -> Job:
        """Raises TRANSITION_REFUSED, JOB_FINAL."""
        row = await self.store.get(job_id)
        if not ask.to_status.final:
            raise Conflict(Reason.TRANSITION_REFUSED, source=row.status, target=ask.to_status)
        return await self._finish(job_id, Ending(ask.to_status, ask.error_message, reason="TRANSITION"), "api")

    async def _finish(self, job_id: int, ending: Ending, actor: str) -> Job:
        row = await self.store.finish(job_id, ending, actor)
        self.count_ended(row)
        return views.job_of(row)

    # ------------------------------------------------------------------ for runners

    async def claim(self, ask: ClaimJob, gone: Gone) -> Job | None:
        """The next job, waiting up to ``waitSeconds`` for one; None when there is none or the service stops."""
        await self.runners.seen(ask.runner_id, ask.labels)
        deadline = asyncio.get_running_loop().time() + ask.wait_seconds
        while not self.waiters.closed:
            mark, again = self.waiters.mark(), False
            if not (ask.wait_seconds and self.waiters.known_empty()):
                found, again = await self._claim_once(ask)
                if found:
                    return found
                if not again:
                    self.waiters.found_nothing(mark)
            left = deadline - asyncio.get_running_loop().time()
            if again:
                await asyncio.sleep(0)
                if left > 0 or ask.wait_seconds == 0:
                    continue
            if not await self.waiters.wait(mark, left):
                return None
            if await gone():
                self.waiters.wake()  # what woke this one is the next one's
                return None
        return None

    async def _claim_once(self, ask: ClaimJob) -> tuple[Job | None, bool]:
        began = time.perf_counter()
        turn = await self.store.claim(ask.runner_id, ask.lease_seconds * 1000)
        self.metrics.claim_seconds.observe(time.perf_counter() - began)
        for row in turn.ended:
            self.count_ended(row)
        if turn.claimed is None:
            return None, turn.more
        if turn.freed:
            await self._others_too()
        row = turn.claimed.row
        if row.attempt == 1:
            self.metrics.claim_delay.observe(max(0.0, ((row.started_ms or row.created_ms) - row.created_ms) / 1000))
        with log.bound(job_id=row.id, job_trace_id=row.trace_id):
            log.get("jobs").info("job.claimed", runner_id=ask.runner_id, attempt=row.attempt)
            try:
                env = _opened(row, self.sealer)
            except SealBroken:  # to run it without its variables would be worse
                ending = Ending(JobStatus.FAILED, SEAL_BROKEN, Failure(code=FailureCode.INTERNAL), reason=FailureCode.INTERNAL)
                await self._finish(row.id, ending, "sweep")
                return None, True
        return views.claimed(row, turn.claimed.node, env, turn.claimed.release), False

    async def _others_too(self) -> None:
        """A job that waited for a node was placed: others may be. The claim is made, whatever becomes of this."""
        try:
            await self.nodes_changed()
        except FunaiError as e:
            log.get("jobs").warning("jobs.not_promoted", reason=e.reason)

    async def heartbeat(self, job_id: int, request: HeartbeatJob) -> Job:
        """Raises Conflict LEASE_LOST."""
        await self.runners.seen(request.runner_id)
        who = Holder(request.runner_id, request.lease_token or None)
        try:
            row = await self.store.heartbeat(job_id, who, request.extend_seconds * 1000, request.phase, request.phase_message)
        except Conflict:
            self.metrics.fenced.labels("heartbeat").inc()
            raise
        return views.job_of(row)

    async def report(self, job_id: int, said: ReportJob) -> Job:
        """Raises Conflict LEASE_LOST, TRANSITION_REFUSED for a status that isn't final."""
        if not said.status.final:
            raise Conflict(Reason.TRANSITION_REFUSED, source=JobStatus.RUNNING, target=said.status)
        await self.runners.seen(said.runner_id)
        failure = said.failure if said.status is not JobStatus.SUCCEEDED else None
        ending = Ending(said.status, said.error_message, failure, reason=str(failure.code) if failure else None)
        try:
            who = Holder(said.runner_id, said.lease_token or None)
            row, news = await self.store.report(job_id, who, ending, said.result)
        except Conflict:
            self.metrics.fenced.labels("report").inc()
            raise
        if news:
            self.count_ended(row)
        return views.job_of(row)

    def count_ended(self, row: JobRow) -> None:
        """Once a job has ended here: figures, one log line, and its app's turn to be pruned."""
        self.metrics.outcomes.labels(row.status, _known_reason(row)).inc()
        if row.started_ms is not None and row.finished_ms is not None:
            self.metrics.run_seconds.observe(max(0.0, (row.finished_ms - row.started_ms) / 1000))
        for hear in self.ended:
            hear(row.id)
        if row.app_id is not None:
            self.maintenance.pruner.app_finished(row.app_id)
        with log.bound(job_id=row.id, job_trace_id=row.trace_id):
            log.get("jobs").info("job.ended", status=row.status, reason=row.reason, attempt=row.attempt)

    # ------------------------------------------------------------------ for placement and apps (ports.Queue)

    async def nodes_changed(self) -> None:
        """A node can take apps (again): let some of the jobs that wait for one try now."""
        self.waiters.wake(await self.maintenance.tender.promoter.node_able())

    async def cancel_active(self, app_id: int, actor: str) -> int | None:
        """Cancel the app's active job, if it has one; answers its id."""
        row = await self.store.active(app_id)
        if row is None:
            return None
        try:
            await self._finish(row.id, Ending(JobStatus.CANCELLED, reason="CANCELLED"), actor)
        except Conflict as e:
            if e.reason != Reason.JOB_FINAL:
                raise
        return row.id

    async def newest_generation(self, app_id: int) -> int | None:
        """The newest generation that any of the app's jobs may have given to a node; None when it has no job."""
        rows = await self.store.by_app(app_id, 1)
        return naming.generation(rows[0].id, rows[0].attempt or 1) if rows else None

    async def purge_app(self, conn: AsyncConnection, app_id: int) -> int:
        """Delete the app's finished jobs with their logs and events, in the caller's transaction; answers how many."""
        return await self.store.purge_app(conn, app_id)


async def _listed(store: JobStore, rows: Sequence[JobRow]) -> list[Job]:
    pending = any(r.status == JobStatus.PENDING for r in rows)
    head = await store.head(LIST_POSITIONS) if pending else []
    places = {job_id: place for place, job_id in enumerate(head, 1)}
    return [views.job_of(r, position=places.get(r.id)) for r in rows]


def _opened(row: JobRow, sealer: Sealer | None) -> dict[str, str] | None:
    """The job's variables. Raises SealBroken, also without a key."""
    if not row.env_sealed:
        return None
    if sealer is None:
        raise SealBroken
    return sealer.open(row.env_sealed)


async def _filled(
    store: JobStore, sealer: Sealer | None, ask: CreateJob, given: dict[str, object]
) -> tuple[dict[str, object], str | None]:
    """The payload to keep, and the variables sealed. A rollback takes both from its release."""
    payload = {k: v for k, v in given.items() if k not in ("env", "envSealed", "phase", "phaseMessage")}
    sealed = ask.payload.env_sealed
    if ask.payload.env:
        if sealer is None:
            why = Words("未配置 funai.env.key-file，无法保存", "can't be kept without funai.env.key-file")
            raise BadInput(Reason.BAD_INPUT, detail=Words(f"env {why.zh}", f"env {why.en}"))
        sealed = sealer.seal(ask.payload.env)
    if ask.payload.rollback_of is None:
        return payload, sealed
    if ask.payload.app_id is None:
        raise NotFound(Reason.RELEASE_NOT_FOUND)
    async with store.db.read() as conn:
        again = await store.releases.load(conn, ask.payload.app_id, ask.payload.rollback_of)
    payload |= {k: v for k, v in again.facts.items() if k != "basePath"}
    if again.base_path:
        payload.setdefault("basePath", again.base_path)
    return payload, again.env_sealed


def _known_reason(row: JobRow) -> str:
    """A label's value: only words of ours, so that a caller can't make figures without end."""
    reason = row.reason or row.failure_code or ""
    return reason if reason in FailureCode.__members__ or reason in ("CANCELLED", "TRANSITION", "") else "OTHER"
