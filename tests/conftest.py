"""What every test knows: the real parts' fixtures."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.parts.fixtures"]


class EndToEndOnOneWorker(LoadScopeScheduling):
    """End-to-end tests share one engine, one machine's ports and its processors: one worker runs them all, the largest
    piece of work and so the first; the others take the rest test by test, those that need no engine first.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(("tests/e2e/gateway/", "tests/e2e/git/")):
            return "e2e without an engine"
        return "e2e" if nodeid.startswith("tests/e2e/") else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> EndToEndOnOneWorker:
    return EndToEndOnOneWorker(config, log)
