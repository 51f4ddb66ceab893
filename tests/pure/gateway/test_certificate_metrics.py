"""When certificates end, as Prometheus reads it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from funai.gateway.metrics import MOST_CERTIFICATES, CertificateMetrics
from funai.gateway.tls.certs import CertificateStore, self_signed

NAME = "funai_gateway_certificate_end_timestamp_seconds"


def test_ends_of_listed_certificates_follow_their_files_and_leave_out_the_one_that_stands_in(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    store, registry = CertificateStore(source, tmp_path / "out"), CollectorRegistry()
    CertificateMetrics(registry, store.ends)
    store.refresh()
    assert registry.get_sample_value(NAME, {"certificate": "_self-signed"}) is None
    file = source / "a.pem"
    began = datetime(2026, 1, 1, tzinfo=UTC)
    file.write_text(self_signed(began, "a.test"))
    store.refresh()
    first = registry.get_sample_value(NAME, {"certificate": "a"})
    assert first is not None and first > began.timestamp()
    file.write_text(self_signed(datetime(2026, 6, 1, tzinfo=UTC), "a.test"))
    os.utime(file, (1, 1))
    store.refresh()
    later = registry.get_sample_value(NAME, {"certificate": "a"})
    assert later is not None and later > first


def test_certificates_past_the_bound_are_those_that_end_last() -> None:
    registry = CollectorRegistry()
    CertificateMetrics(registry, lambda: {f"c{n}": float(n) for n in range(MOST_CERTIFICATES + 1)})
    assert registry.get_sample_value(NAME, {"certificate": f"c{MOST_CERTIFICATES - 1}"}) == MOST_CERTIFICATES - 1
    assert registry.get_sample_value(NAME, {"certificate": f"c{MOST_CERTIFICATES}"}) is None
