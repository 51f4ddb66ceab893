"""What a gateway tells Deploy once a minute: requests that failed since the last report, and when certificates end.

Read from the process's own metrics, so that every driver that counts is reported alike.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from prometheus_client.samples import Sample

from funai.contracts.apps.edge import MAX_CERTIFICATES, GatewayCertificate, GatewayFigures

REPORT_SECONDS = 60.0
REQUESTS, ENDS = "funai_gateway_requests_total", "funai_gateway_certificate_end_timestamp_seconds"

Send = Callable[[GatewayFigures], Awaitable[bool]]
"""Whether Deploy took it; a Deploy without such a call takes nothing. Raises FunaiError."""


class GatewayReporter:
    def __init__(self, name: str, registry: CollectorRegistry, send: Send) -> None:
        self._name, self._registry, self._send = name, registry, send
        self._requests = self._failed = 0
        """As reported last."""

    async def report(self) -> None:
        """One report. What could not be sent is in the next one. Raises what the client raises."""
        samples = list(self._samples())
        counts = [(s.labels.get("status", ""), int(s.value)) for s in samples if s.name == REQUESTS]
        requests, failed = sum(n for _, n in counts), sum(n for status, n in counts if status == "5xx")
        ends = [
            GatewayCertificate(name=s.labels["certificate"], ends_at=datetime.fromtimestamp(s.value, UTC))
            for s in samples
            if s.name == ENDS
        ]
        figures = GatewayFigures(
            name=self._name,
            requests=max(0, requests - self._requests),  # an app that is gone takes its counts with it
            failed=max(0, failed - self._failed),
            certificates=sorted(ends, key=lambda c: c.ends_at)[:MAX_CERTIFICATES],
        )
        if await self._send(figures):
            self._requests, self._failed = requests, failed

    def _samples(self) -> Iterable[Sample]:
        for family in self._registry.restricted_registry([REQUESTS, ENDS]).collect():
            yield from family.samples
