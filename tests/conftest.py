"""What every test knows: the real parts' fixtures, and which tests may run beside which."""

from __future__ import annotations

import os
from typing import Any
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.parts import programs
from tests.parts.extent import FULL

pytest_plugins = ["tests.parts.fixtures"]

# The machine's own settings of Git are not the tests': with Git LFS's in it a push asks for objects that no one has.
os.environ |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}

# No bounds on wall-clock time: a machine that does much else is no failure.
settings.register_profile("funai", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("funai")

_ISOLATED = "tests/e2e/agent/test_engine_contract.py::test_isolated_networks_stay_so_after_they_were_asked_about[podman]"
LANES = {
    "machine": (
        "tests/e2e/up/",
        "tests/e2e/nodes/",
        "tests/e2e/parts/test_engine_choice.py",
        "tests/e2e/parts/test_wheel.py",
        _ISOLATED,
    ),
    "docker": ("tests/e2e/agent/", "tests/e2e/runner/test_docker.py", "tests/e2e/parts/test_parts.py"),
    "processes": ("tests/e2e/runner/test_hostile.py", "tests/e2e/runner/test_life.py"),
}
"""Tests that share what a host has once, so that one worker runs them: a test is in the first lane that fits.
``machine``: the machine's own Podman, whose containers and images they count, and whose networks' rules another Podman
rewrites with its own. ``docker``: the one daemon a host bears. ``processes``: the same build is looked for among the
host's processes.

Beside each other lanes run on slots of Podman's storage, ports, instances and folders that are one worker's alone.
"""
LONG = ("tests/e2e/runner/", "tests/e2e/", "tests/service/deploy/", "tests/service/")
"""What follows the lanes; what is left are the many that take no time."""


def lane(nodeid: str) -> str:
    """What one worker runs in one go: outside the lanes a file, whose tests may share fixtures."""
    return next((name for name, places in LANES.items() if nodeid.startswith(places)), nodeid.partition("::")[0])


def rank(nodeid: str) -> int:
    """The longest pieces begin first, so that no worker is left alone with one at the end."""
    known, name = [*LANES, *LONG], lane(nodeid)
    return next((i for i, start in enumerate(known) if name.startswith(start)), len(known))


def pytest_report_header() -> list[str]:
    return programs.report()


SERVERS = ("postgresql", "mariadb")
EVERYWHERE = ("tests/service/deploy/queue/", "tests/service/deploy/migrations/", "tests/service/base/db/")
"""Where each database has statements of its own: there every run tries every test on all three."""


def on_the_other_server(item: pytest.Item) -> bool:
    """True for a test that the short run has on SQLite and on the other one of the two servers."""
    spec = getattr(item, "callspec", None)
    kind = spec.params.get("database_url") if spec else None
    if kind not in SERVERS or item.nodeid.startswith(EVERYWHERE):
        return False
    return kind != SERVERS[crc32(item.nodeid.partition("[")[0].encode()) % 2]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not FULL and not any("::" in word for word in config.args):  # a test that is asked for by its name runs
        there = [item for item in items if on_the_other_server(item)]
        config.hook.pytest_deselected(items=there)
        left = set(there)
        items[:] = [item for item in items if item not in left]
    items.sort(key=lambda item: rank(item.nodeid))


class Lanes(LoadScopeScheduling):
    """A worker that is free takes the next lane or file as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    config.option.loadscopereorder = False  # the order is ``rank``'s, not the number of tests
    return Lanes(config, log)
