"""Rings, control groups and the meter, with a clock of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from funai.agent.metering import cgroup
from funai.agent.metering.cgroup import Spent
from funai.agent.metering.meter import Meter, Traffic
from funai.agent.metering.ring import Rings, Use
from funai.agent.workload.contract import AppView, Instance, Phase, Role
from funai.contracts.states import Window

MINUTE = 60.0
BEGIN = 1_000_000 * 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> float:
        return self.now


def view(app_id: int = 7, container: str = "c1", *, pid: int = 42) -> AppView:
    return AppView(app_id, live=Instance(container, "rt", app_id, Role.LIVE, Phase.RUNNING, pid=pid))


def test_ring_sums_within_a_step_and_keeps_the_largest() -> None:
    rings = Rings()
    rings.add(BEGIN, Use(requests=1, ms=5, slowest=5, memory=10))
    rings.add(BEGIN + 59, Use(requests=2, ms=9, slowest=7, memory=4))
    rings.add(BEGIN + 60, Use(requests=4))
    points = dict(rings.points(Window.HOUR, BEGIN + 60))
    assert points[int(BEGIN)] == Use(requests=3, ms=14, slowest=7, memory=10)
    assert points[int(BEGIN) + 60] == Use(requests=4)
    assert [use for use in dict(rings.points(Window.DAY, BEGIN + 60)).values() if use] == [
        Use(requests=7, ms=14, slowest=7, memory=10)
    ]


@pytest.mark.parametrize("window", Window)
def test_ring_holds_its_window_and_no_more(window: Window) -> None:
    rings = Rings()
    for n in range(window.steps * 3):
        rings.add(BEGIN + n * window.step_seconds, Use(requests=1))
    last = BEGIN + (window.steps * 3 - 1) * window.step_seconds
    points = list(rings.points(window, last))
    assert len(points) == window.steps
    assert all(use and use.requests == 1 for _, use in points)
    assert len(rings.to_json()[window.value]) <= window.steps
    assert all(use is None for _, use in rings.points(window, last + window.steps * window.step_seconds))


def test_meter_tells_requests_and_what_the_kernel_counted() -> None:
    clock, traffic = Clock(), Traffic()
    spent = {42: Spent(1000, 50 << 20)}
    meter = Meter(traffic, None, memory_limit=96 << 20, clock=clock, spent=spent.get)
    meter.saw([view()])
    traffic.count(7, 200, 100, 2000, 30)
    traffic.count(7, 503, 100, 500, 10)
    traffic.count(8, 200, 1, 1, 1)
    traffic.count(None, 404, 1, 1, 1)
    clock.now += 10
    spent[42] = Spent(6000, 40 << 20)
    meter.saw([view()])
    usage = meter.usage(7, Window.HOUR)
    point = usage.points[-1]
    assert (point.requests, point.errors, point.average_ms, point.slowest_ms) == (2, 1, 20.0, 30)
    assert (point.bytes_in, point.bytes_out, point.cpu_percent, point.memory_bytes) == (200, 2500, 50.0, 50 << 20)
    assert (len(usage.points), usage.memory_limit_bytes, usage.counts_requests) == (60, 96 << 20, True)
    assert all(p.requests is None for p in meter.usage(8, Window.HOUR).points), "an app that is not on this node"


def test_meter_counts_no_time_between_two_containers() -> None:
    clock, spent = Clock(), {1: Spent(9000, 1), 2: Spent(9100, 1)}
    meter = Meter(None, None, clock=clock, spent=spent.get)
    meter.saw([view(container="old", pid=1)])
    clock.now += 10
    meter.saw([view(container="new", pid=2)])
    assert [p.cpu_percent for p in meter.usage(7, Window.HOUR).points if p.cpu_percent is not None] == []
    assert not meter.usage(7, Window.HOUR).counts_requests


async def test_meter_goes_on_after_a_restart_and_forgets_what_is_deleted(tmp_path: Path) -> None:
    clock, traffic = Clock(), Traffic()
    meter = Meter(traffic, tmp_path / "usage", clock=clock)
    traffic.count(7, 200, 1, 1, 1)
    meter.saw([view(pid=0)])
    await meter.save()
    (tmp_path / "usage" / "8.json").write_text('{"hour": [')
    again = Meter(Traffic(), tmp_path / "usage", clock=clock)
    again.load()
    assert again.usage(7, Window.WEEK).points[-1].requests == 1
    again.forget(7)
    assert again.usage(7, Window.WEEK).points[-1].requests is None
    assert not (tmp_path / "usage" / "7.json").exists()


def test_cgroup_unified_is_read_without_cached_files(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "cgroup").write_text("0::/machine/app\n")
    group = root / "machine" / "app"
    group.mkdir(parents=True)
    (group / "cpu.stat").write_text("usage_usec 1234567\nuser_usec 1\n")
    (group / "memory.current").write_text("1000\n")
    (group / "memory.stat").write_text("anon 1\ninactive_file 400\n")
    assert cgroup.spent(7, proc, root) == Spent(1234, 600)


def test_cgroup_legacy_is_read_by_its_controllers(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "7").mkdir(parents=True)
    (proc / "7" / "cgroup").write_text("9:name=systemd:/x\n4:memory:/a\n2:cpu,cpuacct:/b\n")
    (root / "memory" / "a").mkdir(parents=True)
    (root / "cpuacct" / "b").mkdir(parents=True)
    (root / "memory" / "a" / "memory.usage_in_bytes").write_text("1000\n")
    (root / "memory" / "a" / "memory.stat").write_text("total_inactive_file 1\n")
    (root / "cpuacct" / "b" / "cpuacct.usage").write_text("5000000\n")
    assert cgroup.spent(7, proc, root) == Spent(5, 999)


@pytest.mark.parametrize("text", ["0::/\n", "4:memory:/\n2:cpuacct:/\n", "", "nonsense\n"])
def test_cgroup_of_the_whole_machine_is_not_taken_for_the_apps(tmp_path: Path, text: str) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text(text)
    assert cgroup.spent(7, tmp_path, tmp_path) is None
    assert cgroup.spent(8, tmp_path, tmp_path) is None
