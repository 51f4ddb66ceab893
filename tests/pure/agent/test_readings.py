"""What a heartbeat reads from /proc."""

from __future__ import annotations

from funai.agent.heartbeat import CpuTimes, memory_in


def test_cpu_is_what_was_busy_between_two_looks() -> None:
    before = CpuTimes.parse("cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 …\n")
    after = CpuTimes.parse("cpu  150 0 150 750 150 0 0 0 0 0\n")
    assert after.since(before) == 50.0
    assert after.since(after) == 0.0


def test_memory_in_in_bytes() -> None:
    assert memory_in("MemTotal: 10 kB\nMemAvailable:   2048 kB\n") == 2 << 20
    assert memory_in("") is None
