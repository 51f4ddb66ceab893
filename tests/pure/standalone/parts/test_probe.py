"""What the probe container says about limits, on both generations of cgroups."""

from __future__ import annotations

import io
import tarfile

import pytest

from funai.standalone.parts.probe import CPUS, MEMORY_BYTES, PIDS, Limit, ask_words, image_tar, limits_seen, run_words

V1 = f"""\
/sys/fs/cgroup/memory/memory.limit_in_bytes:{MEMORY_BYTES}
/sys/fs/cgroup/pids/pids.max:{PIDS}
/sys/fs/cgroup/cpu/cpu.cfs_quota_us:50000
"""
V2 = f"""\
/sys/fs/cgroup/memory.max:{MEMORY_BYTES}
/sys/fs/cgroup/pids.max:{PIDS}
/sys/fs/cgroup/cpu.max:50000 100000
"""
NONE_V1 = """\
/sys/fs/cgroup/memory/memory.limit_in_bytes:9223372036854771712
/sys/fs/cgroup/pids/pids.max:max
/sys/fs/cgroup/cpu/cpu.cfs_quota_us:-1
"""
NONE_V2 = "/sys/fs/cgroup/memory.max:max\n/sys/fs/cgroup/pids.max:max\n/sys/fs/cgroup/cpu.max:max 100000\n"


@pytest.mark.parametrize("output", [V1, V2])
def test_limits_in_force_are_seen(output: str) -> None:
    assert limits_seen(output) == tuple(Limit)


@pytest.mark.parametrize("output", [NONE_V1, NONE_V2, "", "nonsense"])
def test_no_limit_is_claimed_that_is_not_there(output: str) -> None:
    assert limits_seen(output) == ()


@pytest.mark.parametrize(
    ("line", "limit"),
    [
        (f"/sys/fs/cgroup/memory.max:{MEMORY_BYTES}", Limit.MEMORY),
        (f"/sys/fs/cgroup/pids.max:{PIDS}", Limit.PIDS),
        ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us:50000", Limit.CPUS),
    ],
)
def test_each_limit_is_told_by_itself(line: str, limit: Limit) -> None:
    assert limits_seen(line) == (limit,)


def test_the_probe_asks_for_the_limits_it_is_given_and_pulls_nothing() -> None:
    words = run_words("image", "name", [Limit.MEMORY, Limit.CPUS])
    assert f"--memory={MEMORY_BYTES}" in words
    assert f"--cpus={CPUS}" in words
    assert not any(word.startswith("--pids-limit") for word in words)
    assert "--pull=never" in words


def test_the_probe_is_asked_without_a_shell() -> None:
    assert ask_words("name")[:3] == ["exec", "name", "/usr/bin/grep"]


def test_the_probe_image_is_an_empty_tree_with_the_hosts_links() -> None:
    with tarfile.open(fileobj=io.BytesIO(image_tar({"bin": "usr/bin"}))) as tar:
        members = {m.name: m.linkname for m in tar}
        assert members["bin"] == "usr/bin"
        assert "usr" in members
        assert not any(m.isfile() for m in tar.getmembers())
