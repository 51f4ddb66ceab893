"""What an operator watches of the queue."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from funai.base.observability.metrics import LATENCY_BUCKETS

_AGE_BUCKETS = (0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600)


class JobMetrics:
    """One per service, in its registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.depth = Gauge("funai_deploy_jobs", "Unfinished jobs by state", ["state"], registry=registry)
        self.oldest = Gauge("funai_deploy_oldest_claimable_seconds", "Age of the head of the queue", registry=registry)
        self.waiting_runners = Gauge("funai_deploy_waiting_runners", "Claims held open here", registry=registry)
        self.claim_seconds = Histogram(
            "funai_deploy_claim_seconds", "One look for a job in the database", buckets=LATENCY_BUCKETS, registry=registry
        )
        self.claim_delay = Histogram(
            "funai_deploy_claim_delay_seconds", "From creation to first claim", buckets=_AGE_BUCKETS, registry=registry
        )
        self.run_seconds = Histogram(
            "funai_deploy_run_seconds", "From claim to final report", buckets=_AGE_BUCKETS, registry=registry
        )
        self.outcomes = Counter("funai_deploy_outcomes_total", "Ended jobs", ["status", "reason"], registry=registry)
        self.rescues = Counter("funai_deploy_rescues_total", "Lapsed leases", ["outcome"], registry=registry)
        self.created = Counter("funai_deploy_created_total", "Jobs created", registry=registry)
        self.fenced = Counter("funai_deploy_fenced_total", "Calls refused with LEASE_LOST", ["call"], registry=registry)
