"""Counters of the gateway for Prometheus: per app, with a bound on how many apps get series of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from funai.base.observability.metrics import LATENCY_BUCKETS
from funai.gateway.haproxy.access_log import Seen

OTHER = "other"
"""Label of apps past the bound."""
NO_APP = "none"
"""Label of requests that reached no app."""
MOST_CERTIFICATES = 50
Watch = Callable[[int | None, int, int, int, int], None]
"""Called for each request: app (None: of no app), status, bytes in and out, milliseconds."""


class _Tally:
    __slots__ = ("bytes_in", "bytes_out", "ms", "statuses")

    def __init__(self) -> None:
        self.statuses = [0] * 6
        self.bytes_in = self.bytes_out = self.ms = 0


class GatewayMetrics(Collector):
    """Counts requests; :meth:`collect` makes the series when Prometheus asks, so that counting stays cheap."""

    def __init__(self, registry: CollectorRegistry, *, max_apps: int = 1000, watch: Watch | None = None) -> None:
        self._max_apps, self._watch = max_apps, watch
        self._apps: dict[str, _Tally] = {}
        self.seconds = Histogram(
            "funai_gateway_request_seconds",
            "Whole time of requests through the gateway",
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        self.starts = Counter(
            "funai_gateway_proxy_starts_total", "Starts of the proxy by cause", ["cause"], registry=registry
        )  # first | died | replaced
        self.changes = Counter("funai_gateway_route_changes_total", "Route changes by outcome", ["outcome"], registry=registry)
        registry.register(self)

    def count(self, seen: Seen) -> None:
        tally = self._tally(seen.app_id)
        family = seen.status // 100
        tally.statuses[family if 1 <= family <= 5 else 0] += 1
        tally.bytes_in += seen.bytes_in
        tally.bytes_out += seen.bytes_out
        tally.ms += seen.ms
        self.seconds.observe(seen.ms / 1000)
        if self._watch:
            self._watch(seen.app_id, seen.status, seen.bytes_in, seen.bytes_out, seen.ms)

    def forget(self, app_id: int) -> None:
        """The app is gone: so are its series."""
        self._apps.pop(str(app_id), None)

    def _tally(self, app_id: int | None) -> _Tally:
        label = NO_APP if app_id is None else str(app_id)
        found = self._apps.get(label)
        if found is None:
            named = len(self._apps) - (NO_APP in self._apps) - (OTHER in self._apps)
            if app_id is not None and named >= self._max_apps:
                label = OTHER
            found = self._apps.setdefault(label, _Tally())
        return found

    def describe(self) -> list[CounterMetricFamily]:
        """The families without samples: a registry is asked for some of them by name."""
        return [
            CounterMetricFamily("funai_gateway_requests", "Requests by app and status class", labels=["app", "status"]),
            CounterMetricFamily("funai_gateway_received_bytes", "Bytes from clients", labels=["app"]),
            CounterMetricFamily("funai_gateway_sent_bytes", "Bytes to clients", labels=["app"]),
            CounterMetricFamily("funai_gateway_app_seconds", "Time spent in requests", labels=["app"]),
        ]

    def collect(self) -> Iterable[Metric]:
        requests, taken, given, seconds = self.describe()
        for app, tally in list(self._apps.items()):
            for family, n in enumerate(tally.statuses):
                if n:
                    requests.add_metric([app, f"{family}xx" if family else "none"], n)
            taken.add_metric([app], tally.bytes_in)
            given.add_metric([app], tally.bytes_out)
            seconds.add_metric([app], tally.ms / 1000)
        return [requests, taken, given, seconds]


class CertificateMetrics(Collector):
    """When the certificates that are served with end, as epoch seconds: of the ``MOST_CERTIFICATES`` that end first."""

    def __init__(self, registry: CollectorRegistry, ends: Callable[[], dict[str, float]]) -> None:
        self._ends = ends
        registry.register(self)

    def describe(self) -> list[GaugeMetricFamily]:
        name = "funai_gateway_certificate_end_timestamp_seconds"
        return [GaugeMetricFamily(name, "When a certificate ends", labels=["certificate"])]

    def collect(self) -> Iterable[Metric]:
        (family,) = self.describe()
        for name, end in sorted(self._ends().items(), key=lambda entry: entry[1])[:MOST_CERTIFICATES]:
            family.add_metric([name], end)
        return [family]
