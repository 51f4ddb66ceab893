"""Prometheus, one registry a process part: no globals, so that five services in one process keep theirs apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest

from funai.base.observability import log
from funai.contracts.errors import FunaiError

REFRESH_SECONDS = 1.0
LATENCY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class HttpMetrics:
    """Requests by route template (never by raw path), method and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter("funai_http_requests_total", "HTTP requests", ["method", "route", "status"], registry=registry)
        self.seconds = Histogram(
            "funai_http_request_seconds", "Time to answer", ["method", "route"], buckets=LATENCY_BUCKETS, registry=registry
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request. Series are kept: finding one by its labels costs more than counting."""
        key = (method, route, status)
        series = self._known.get(key)
        if series is None:
            series = self._known[key] = self.requests.labels(method, route, str(status)), self.seconds.labels(method, route)
        series[0].inc()
        series[1].observe(seconds)

    def render(self) -> tuple[bytes, str]:
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class Refreshers:
    """Metrics that cost a query and are therefore measured when they are read."""

    def __init__(self) -> None:
        self._all: list[Callable[[], Awaitable[object]]] = []
        self._lock = asyncio.Lock()
        self._at = -REFRESH_SECONDS

    def add(self, *refreshers: Callable[[], Awaitable[object]]) -> None:
        self._all += refreshers

    async def refresh(self) -> None:
        """At most once in ``REFRESH_SECONDS``, however many ask. A page with old figures is better than none."""
        async with self._lock:
            if time.monotonic() - self._at < REFRESH_SECONDS:
                return
            for refresh in self._all:
                try:
                    await refresh()
                except FunaiError as e:
                    log.get("metrics").warning("metrics.not_refreshed", error=str(e))
            self._at = time.monotonic()
