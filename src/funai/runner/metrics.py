"""What an operator watches of a Runner, and the small listener that serves it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from funai.base.aio import bind, serving
from funai.base.config.settings import METRICS_ALLOWED
from funai.base.http.app import create_app, ok
from funai.base.http.guards import address_guard
from funai.contracts.states import JobStatus, Phase
from funai.runner.claim.lease import Lost
from funai.runner.settings import RunnerSettings

PHASE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800)
NOT_REPORTED = "NOT_REPORTED"
"""Outcome of a job whose report Deploy refused."""


class RunnerMetrics:
    """One per Runner, in its registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.slots = Gauge("funai_runner_slots", "Jobs it works on at the same time, at most", registry=registry)
        self.in_hand = Gauge("funai_runner_jobs_in_hand", "Jobs it works on now", registry=registry)
        self.jobs = Counter(
            "funai_runner_jobs_total",
            "Jobs by how they ended here, with the failure's code",
            ["outcome", "code"],
            registry=registry,
        )
        self.phases = Histogram(
            "funai_runner_phase_seconds", "Time of a job's phases", ["phase"], buckets=PHASE_BUCKETS, registry=registry
        )
        self.skipped = Counter(
            "funai_runner_builds_skipped_total", "Jobs whose image was in the registry already", registry=registry
        )
        self.claims_failed = Counter("funai_runner_claims_failed_total", "Claims that Deploy did not answer", registry=registry)
        self.claims_unreadable = Counter(
            "funai_runner_claims_unreadable_total", "Claims whose answer could not be read; given back", registry=registry
        )
        self.crashes = Counter(
            "funai_runner_crashes_total",
            "Loops that an unexpected error ended, and that were begun anew",
            ["loop"],
            registry=registry,
        )
        for loop in ("slot", "heartbeat"):
            self.crashes.labels(loop)
        self.evicted = Counter(
            "funai_runner_evicted_total", "Images and mirrors removed from the caches", ["kind"], registry=registry
        )
        self.evicted_bytes = Counter(
            "funai_runner_evicted_bytes_total", "Disk that eviction freed", ["kind"], registry=registry
        )
        # A series that exists from the start shows its first increase.
        for outcome in (JobStatus.SUCCEEDED, *Lost, NOT_REPORTED):
            self.jobs.labels(outcome, "")
        for phase in Phase:
            self.phases.labels(phase.lower())
        for kind in ("images", "mirrors"):
            self.evicted.labels(kind)
            self.evicted_bytes.labels(kind)

    def removed(self, kind: str, number: int, freed: int) -> None:
        """``number`` things of this kind went from the caches, ``freed`` bytes with them."""
        self.evicted.labels(kind).inc(number)
        self.evicted_bytes.labels(kind).inc(max(0, freed))


@asynccontextmanager
async def listening(settings: RunnerSettings, metrics: RunnerMetrics) -> AsyncIterator[None]:
    """``/metrics`` and ``/internal/health`` while the context is open; nothing at all with port 0. Raises ConfigError."""
    if not settings.metrics_port:
        yield
        return
    readers = address_guard(settings.metrics_allowed_ips, METRICS_ALLOWED)
    app = create_app("FunAI Runner", registry=metrics.registry, metrics_guard=readers)

    @app.get("/internal/health")
    async def health() -> dict[str, object]:  # pyright: ignore[reportUnusedFunction]
        return ok({"ok": True})

    async with serving(app, bind(settings.metrics_host, settings.metrics_port), grace=1):
        yield
