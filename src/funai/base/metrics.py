"""Prometheus, one registry a process part: no globals, so that five services in one process keep theirs apart."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest

LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class HttpMetrics:
    """Requests by route template (never by raw path), method and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter("funai_http_requests_total", "HTTP requests", ["method", "route", "status"], registry=registry)
        self.seconds = Histogram(
            "funai_http_request_seconds", "Time to answer", ["method", "route"], buckets=LATENCY_BUCKETS, registry=registry
        )

    def render(self) -> tuple[bytes, str]:
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
