"""Slots that claim jobs, work on them under their lease, and report.

Teardown order: stop claiming; running jobs go on under their heartbeats for a bounded time; what is left then is
stopped and its lease simply runs out, so that another attempt takes it up.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from funai.base.aio import Stopped, unless, wait_any
from funai.base.clients.deploy import RunnerDeployClient, UnreadableClaim
from funai.base.observability import log
from funai.base.observability.redact import Redactor, secrets_of
from funai.contracts.errors import FunaiError
from funai.contracts.jobs import ClaimJob, Job, JobResult, ReportJob
from funai.contracts.reasons import FailureCode
from funai.contracts.states import JobStatus, JobType
from funai.i18n.joblog import both
from funai.runner.claim.lease import Lease, LeaseGone, Lost
from funai.runner.claim.room import is_full, watched
from funai.runner.failures import JobFailed
from funai.runner.job import JobRun, RunnerContext, job_folder, read_payload
from funai.runner.logs import LogStream, streaming
from funai.runner.metrics import NOT_REPORTED

HELD_OPEN = 1.0
"""Seconds: an empty answer sooner than this came from a Deploy that does not hold claims open."""
AWAY_PAUSE = 1.0
UNREADABLE_PAUSE = 15.0
"""Seconds without a claim after one that couldn't be read: the next would most likely be like it."""
LOG_SECONDS = 3.0
ROOM_PAUSE = 2.0
NO_DISK = both("work_dir_full")
_FULL_DISKS = frozenset(
    {
        FailureCode.BUILD_FAILED,
        FailureCode.INTERNAL,
        FailureCode.GIT_UNREACHABLE,
        FailureCode.REGISTRY_UNREACHABLE,
        FailureCode.IMAGE_NOT_FOUND,
    }
)
"""What a job fails of, by the programs that it runs, when they can't write."""


class ClaimLoop:
    def __init__(self, tools: RunnerContext, client: RunnerDeployClient) -> None:
        self._tools, self._client, self._settings = tools, client, tools.settings

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop``, then finish running jobs within the settings' time."""
        self._tools.metrics.slots.set(self._settings.slots)
        slots = [asyncio.create_task(self._kept_up(stop), name=f"slot-{n}") for n in range(self._settings.slots)]
        try:
            await stop.wait()
            await asyncio.wait(slots, timeout=self._settings.stop_seconds)
        finally:
            for slot in slots:
                slot.cancel()
            await asyncio.gather(*slots, return_exceptions=True)

    async def _kept_up(self, stop: asyncio.Event) -> None:
        """A slot that begins anew when something unexpected ends it; counted, since it is a fault of this program."""
        while not stop.is_set():
            try:
                await self._slot(stop)
            except Exception:  # noqa: BLE001  # whatever it was, the runner goes on with the next job
                log.get("runner").exception("slot.crashed")
                self._tools.metrics.crashes.labels("slot").inc()
                await wait_any(stop, timeout=AWAY_PAUSE)

    async def _slot(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            with suppress(Stopped):
                await self._work(*await unless(stop, self._claim()))

    async def _claim(self) -> tuple[Job, float]:
        """Wait for a job; answers it with the moment from which its lease counts."""
        s = self._settings
        claim = ClaimJob(
            runner_id=s.runner_id, lease_seconds=s.lease_seconds, wait_seconds=s.claim_wait_seconds, labels=s.labels
        )
        while True:
            await self._room()
            sent_at = time.monotonic()
            try:
                job = await self._client.claim(claim)
            except UnreadableClaim as e:
                await self._give_back(e)
                await asyncio.sleep(UNREADABLE_PAUSE)
                continue
            except FunaiError as e:
                log.get("runner").warning("claim.failed", error=str(e))
                self._tools.metrics.claims_failed.inc()
                await asyncio.sleep(max(AWAY_PAUSE, s.poll_seconds if e.code < 500 else AWAY_PAUSE))
                continue
            if job is not None:
                return job, _granted_at(sent_at, s.claim_wait_seconds)
            if time.monotonic() - sent_at < min(HELD_OPEN, s.claim_wait_seconds / 2):
                await asyncio.sleep(s.poll_seconds)

    @property
    def _full(self) -> bool:
        return is_full(self._settings.workdir, self._settings.min_free_bytes)

    async def _room(self) -> None:
        """Return when the work dir's disk has room for a job; other Runners take the jobs until then."""
        said = False
        while self._full:
            if not said:
                log.get("runner").error("disk.full", workdir=str(self._settings.workdir), meaning=NO_DISK)
                said = True
            await asyncio.sleep(ROOM_PAUSE)

    async def _give_back(self, claim: UnreadableClaim) -> None:
        """A job that this runner can't read is another's. Deploy gives it away when its lease ends, which is made soon."""
        self._tools.metrics.claims_unreadable.inc()
        log.get("runner").error("claim.unreadable", job_id=claim.job_id, error=str(claim.__cause__))
        if claim.job_id is not None:
            await self._hand_back(claim.job_id, claim.lease_token)

    async def _hand_back(self, job_id: int | str, lease_token: str | None) -> None:
        """Another runner may have it at once. When Deploy doesn't answer, the lease ends by itself."""
        try:
            await self._client.give_back(job_id, lease_token, self._settings.runner_id)
        except FunaiError as e:
            log.get("runner").warning("claim.not_given_back", job_id=job_id, error=str(e))

    async def _work(self, job: Job, granted_at: float) -> None:
        """One job, from claim to report. Whatever goes wrong ends this job and not the slot."""
        lease = Lease(job, seconds=self._settings.lease_seconds, granted_at=granted_at)
        with log.bound(job_id=job.wire_id, attempt=job.attempt):
            logger, metrics = log.get("runner"), self._tools.metrics
            logger.info("job.claimed")
            gone: Lost | None = None
            self._tools.leases.add(lease)
            try:
                with metrics.in_hand.track_inprogress():
                    report = await lease.guard(self._carry_out(job, lease))
                metrics.jobs.labels(report.status, report.failure.code if report.failure else "").inc()
                logger.info("job.ended", status=report.status)
            except LeaseGone as e:
                metrics.jobs.labels(e.why, "").inc()
                logger.warning("job.stopped", why=e.why)
                gone = e.why
            except FunaiError as e:
                metrics.jobs.labels(NOT_REPORTED, "").inc()
                logger.warning("job.not_reported", error=str(e))
            finally:
                self._tools.leases.drop(lease)
            if gone is Lost.NO_DISK:
                await self._hand_back(job.id, job.lease_token)

    async def _carry_out(self, job: Job, lease: Lease) -> ReportJob:
        redact = Redactor(self._secrets(job))
        out = LogStream(
            self._client, self._settings.runner_id, job.wire_id, token=lease.token, resume=(job.attempt or 1) > 1, redact=redact
        )
        async with streaming(out, finish=LOG_SECONDS):
            try:
                report = await self._outcome(job, lease, out, redact)
            except LeaseGone as e:
                if e.why is Lost.NO_DISK:
                    out.line(f"==> {NO_DISK}")
                raise
            if report.error_message:
                out.line(f"==> {report.status} {report.failure.code if report.failure else ''}\n{report.error_message}")
        await self._report(job, lease, report)
        return report

    async def _outcome(self, job: Job, lease: Lease, out: LogStream, redact: Redactor) -> ReportJob:
        try:
            result = await self._result(job, lease, out)
            return self._final(lease, JobStatus.SUCCEEDED, result=result)
        except JobFailed as e:
            return self._failed(lease, e, redact)
        except LeaseGone:
            raise
        except Exception as e:  # noqa: BLE001  # whatever breaks in one job is that job's end and not the slot's
            log.get("runner").exception("job.crashed")
            return self._failed(lease, JobFailed(FailureCode.INTERNAL, detail=type(e).__name__), redact)

    async def _result(self, job: Job, lease: Lease, out: LogStream) -> JobResult:
        if job.type != JobType.BUILD_AND_DEPLOY:
            raise JobFailed(FailureCode.INTERNAL, detail=f"type {job.type}")
        payload = read_payload(job)
        s = self._settings
        try:
            async with watched(s.workdir, s.min_free_bytes) as room, job_folder(s.workdir, job) as folder:
                try:
                    return await JobRun(self._tools, job, payload, lease, out, folder).carry_out()
                except (JobFailed, OSError) as e:
                    if room.was_full() and (isinstance(e, OSError) or e.code in _FULL_DISKS):
                        raise LeaseGone(Lost.NO_DISK) from e
                    raise
        except OSError as e:
            # Not even the job's folder could be made.
            if self._full:
                raise LeaseGone(Lost.NO_DISK) from e
            raise

    def _failed(self, lease: Lease, e: JobFailed, redact: Redactor) -> ReportJob:
        return self._final(lease, JobStatus.FAILED, message=e.error_message(redact), failed=e)

    def _final(
        self,
        lease: Lease,
        status: JobStatus,
        *,
        message: str | None = None,
        failed: JobFailed | None = None,
        result: JobResult | None = None,
    ) -> ReportJob:
        return ReportJob(
            runner_id=self._settings.runner_id,
            status=status,
            error_message=message,
            lease_token=lease.token,
            result=result,
            failure=failed.failure if failed else None,
        )

    async def _report(self, job: Job, lease: Lease, report: ReportJob) -> None:
        """The final word, repeated while Deploy is away and the lease lasts. Raises LeaseGone, FunaiError."""
        lease.reported = report.status
        while True:
            try:
                await self._client.report(job.wire_id, report)
            except FunaiError as e:
                if e.code < 500:
                    raise
                lease.check()
                await asyncio.sleep(AWAY_PAUSE)
            else:
                return

    def _secrets(self, job: Job) -> list[str]:
        s = self._settings
        own = [x.get_secret_value() for x in (s.registry_password, s.agent_token, s.runner_token) if x]
        token = [job.lease_token] if job.lease_token else []
        return [*own, *token, *secrets_of(_texts(job.payload.get("env")), _names(job.payload.get("secretEnv")))]


def _texts(env: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in env.items()} if isinstance(env, dict) else {}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _names(given: object) -> list[str]:
    return [str(name) for name in given] if isinstance(given, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _granted_at(sent_at: float, waited: float) -> float:
    """When the lease began, by our clock: a held claim was granted just before its answer came.

    Two seconds are more than an answer takes; the first heartbeat, sent at once, makes it exact.
    """
    now = time.monotonic()
    return max(sent_at, now - 2.0) if waited and now - sent_at > HELD_OPEN else sent_at
