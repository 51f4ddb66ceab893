"""What the queue should do, as plain values: the model that the real store is compared with. Knows no SQL."""

from __future__ import annotations

from dataclasses import dataclass, field

from funai.contracts.states import JobStatus
from funai.deploy.queue.statements import NEXT_FEW

P, R = JobStatus.PENDING, JobStatus.RUNNING
ACTIVE = (P, R)


@dataclass
class ModelJob:
    id: int
    app: int
    user: int
    turn: int
    status: JobStatus = P
    attempt: int = 0
    runner: str | None = None
    token: str | None = None
    lease: int | None = None
    started: int | None = None
    claimable: int = 1
    available: int = 0
    waiting_since: int | None = None
    story: list[str] = field(default_factory=lambda: ["PENDING"])


@dataclass(frozen=True)
class Hold:
    """A claim that was once answered: what its runner knows."""

    job: int
    runner: str
    token: str
    attempt: int


@dataclass
class Model:
    """Times in milliseconds; ``now`` is moved by the machine alone."""

    fair: bool = True
    max_attempts: int = 3
    backoff: int = 2_000
    max_running: int = 200_000
    max_waiting: int = 120_000
    now: int = 1_800_000_000_000
    node: bool = True
    jobs: dict[int, ModelJob] = field(default_factory=dict)

    def line(self) -> list[ModelJob]:
        """Claimable jobs in the order claims take them."""
        return sorted((j for j in self.jobs.values() if j.status is P and j.claimable == 1), key=lambda j: (j.turn, j.id))

    def turn_for(self, user: int) -> int:
        line = [j.turn for j in self.line()]
        if not self.fair:
            return line[-1] if line else 0
        served = [*line[:1], *(j.turn for j in self.jobs.values() if j.status is R)]
        if not served:
            for state in (0, 2):
                waits = [j for j in self.jobs.values() if j.status is P and j.claimable == state]
                few = sorted(waits, key=lambda j: (j.available, j.id))[:NEXT_FEW]
                served += [min(j.turn for j in few)] if few else []
        own = [j.turn for j in self.jobs.values() if j.user == user and j.status in ACTIVE]
        return max([0, *served, *(t + 1 for t in own)])

    def refuses_app(self, app: int) -> bool:
        return any(j.app == app and j.status in ACTIVE for j in self.jobs.values())

    def claim(self, runner: str, token: str | None, lease: int) -> ModelJob | None:
        """Takes the head; without a node every head is put aside instead."""
        for job in self.line():
            if not self.node:
                since = self.now if job.waiting_since is None else job.waiting_since
                waited = 0 if job.waiting_since is None else self.now - job.waiting_since
                job.waiting_since, job.claimable = since, 0
                job.available = self.now + max(1_000, min(15_000, waited // 8))
                continue
            job.status, job.attempt, job.runner, job.token = R, job.attempt + 1, runner, token
            job.lease, job.started = self.now + lease, self.now
            job.story.append("RUNNING")
            return job
        return None

    def holds(self, hold: Hold, with_token: bool) -> bool:
        """Whether the fence lets this holder through."""
        job = self.jobs[hold.job]
        if job.status is not R or job.runner != hold.runner:
            return False
        return job.token == hold.token if with_token else job.lease is not None and job.lease > self.now

    def held_at_end(self, hold: Hold, with_token: bool) -> bool:
        job = self.jobs[hold.job]
        return job.status.final and job.runner == hold.runner and (not with_token or job.token == hold.token)

    # These answer the reason of the refusal, or None.

    def heartbeat(self, hold: Hold, with_token: bool, extend: int) -> str | None:
        if self.holds(hold, with_token):
            self.jobs[hold.job].lease = self.now + extend
            return None
        return None if self.held_at_end(hold, with_token) else "LEASE_LOST"

    def report(self, hold: Hold, with_token: bool, status: JobStatus) -> str | None:
        if self.holds(hold, with_token):
            self._end(self.jobs[hold.job], status)
            return None
        same = self.held_at_end(hold, with_token) and self.jobs[hold.job].status is status
        return None if same else "LEASE_LOST"

    def cancel(self, job_id: int) -> str | None:
        job = self.jobs[job_id]
        if job.status.final:
            return None if job.status is JobStatus.CANCELLED else "JOB_FINAL"
        self._end(job, JobStatus.CANCELLED)
        return None

    def sweep(self) -> None:
        for job in self.jobs.values():
            if job.status is R and job.lease is not None and job.lease < self.now:
                self._lapse(job)
            if job.status is R and job.started is not None and job.started < self.now - self.max_running:
                self._end(job, JobStatus.FAILED)
        for job in self.jobs.values():
            due = job.status is P and job.available <= self.now
            if due and job.claimable == 2:
                job.claimable = 1
            if due and job.claimable == 0 and job.waiting_since is not None:
                if job.waiting_since < self.now - self.max_waiting:
                    self._end(job, JobStatus.FAILED)
                else:
                    job.claimable = 1

    def node_able(self) -> None:
        for job in self.jobs.values():
            if job.status is P and job.claimable == 0 and job.available <= self.now + 60_000:
                job.claimable = 1

    def _lapse(self, job: ModelJob) -> None:
        if job.attempt >= self.max_attempts:
            self._end(job, JobStatus.FAILED)
            return
        delay = min(60_000, self.backoff * 2 ** (job.attempt - 1))
        job.status, job.runner, job.token, job.lease, job.started = P, None, None, None, None
        job.claimable, job.available, job.waiting_since = (2 if delay else 1), self.now + delay, None
        job.story.append("PENDING")

    def _end(self, job: ModelJob, status: JobStatus) -> None:
        job.status, job.lease = status, None
        job.story.append(status.value)
