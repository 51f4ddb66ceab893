"""Lines of the proxy: counted, and passed on as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from prometheus_client import CollectorRegistry

from funai.gateway.haproxy.access_log import AccessLog, Seen, json_line, parse_line
from funai.gateway.metrics import GatewayMetrics

LINE = b'1795451485.001 12 200 99 220 15|"path":"\\/runtime\\/12\\/|x","upstream":"10.0.0.1/3000","traceId":"t"}'


def test_a_line_is_counted_and_becomes_json() -> None:
    seen = parse_line(LINE)
    assert seen is not None
    assert (seen.app_id, seen.status, seen.bytes_in, seen.bytes_out, seen.ms) == (12, 200, 99, 220, 15)
    assert json.loads(json_line(seen)) == {
        "time": "2026-11-23T16:31:25.001Z",
        "appId": 12,
        "status": 200,
        "bytesIn": 99,
        "bytesOut": 220,
        "ms": 15,
        "path": "/runtime/12/|x",
        "upstream": "10.0.0.1/3000",
        "traceId": "t",
    }


def test_no_app_and_no_answer() -> None:
    seen = parse_line(LINE.replace(b" 12 200 ", b" - -1 "))
    assert seen is not None
    assert (seen.app_id, seen.status) == (None, 0)
    assert json.loads(json_line(seen))["appId"] is None


def test_other_words_of_the_proxy_are_no_requests() -> None:
    for line in (b"", b"Proxy public stopped.", LINE[:-1], LINE.replace(b"|", b" "), LINE.replace(b"200", b"2OO"), b"|}"):
        assert parse_line(line) is None


def test_lines_come_in_any_pieces() -> None:
    counted: list[Seen] = []
    log = AccessLog(Path("unused"), None, counted.append)
    stream = b"\n".join([LINE, b"Proxy public started.", LINE, b""])
    for size in (1, 7, len(stream)):
        counted.clear()
        for at in range(0, len(stream), size):
            log.feed(stream[at : at + size])
        assert [s.app_id for s in counted] == [12, 12]
    log.feed(b"x" * 100_000)
    counted.clear()
    log.feed(b"\n" + LINE + b"\n")
    assert len(counted) == 1


def seen(app_id: int | None, status: int = 200) -> Seen:
    return Seen(0.0, app_id, status, 10, 20, 30, b"}")


def test_apps_past_the_bound_share_a_series() -> None:
    registry = CollectorRegistry()
    metrics = GatewayMetrics(registry, max_apps=2)
    for app_id in (1, 2, 3, 4, 3):
        metrics.count(seen(app_id))
    value = lambda app, status="2xx": registry.get_sample_value(  # noqa: E731
        "funai_gateway_requests_total", {"app": app, "status": status}
    )
    assert [value(a) for a in ("1", "2", "3", "other")] == [1, 1, None, 3]
    metrics.count(seen(None, 404))
    metrics.count(seen(1, 0))
    assert value("none", "4xx") == 1
    assert value("1", "none") == 1
    assert registry.get_sample_value("funai_gateway_sent_bytes_total", {"app": "1"}) == 40
    metrics.forget(1)
    assert value("1") is None
    metrics.count(seen(5))
    assert value("5") == 1
