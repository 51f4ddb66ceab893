"""The console's catalogue: both languages, the same placeholders, every key used and every used key there."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import funai.console
from funai.contracts.apps.moves import MoveState
from funai.contracts.audit import AuditAction
from funai.contracts.reasons import FailureCode
from funai.contracts.states import AppStatus, Change, JobStatus, NodeHealth, Phase
from funai.i18n import console as catalogue

ROOM = Path(funai.console.__file__).parent
SOURCES = "\n".join(p.read_text() for p in [*ROOM.rglob("*.html"), *ROOM.rglob("*.py")])
BUILT = {
    *(f"state_{s.value}" for s in AppStatus),
    *(f"job_{s.value}" for s in JobStatus),
    *(f"node_{s.value}" for s in NodeHealth),
    *(f"phase_{p.value}" for p in Phase),
    "phase_QUEUED",
    "blame_user",
    "blame_platform",
    *(f"step_{s}" for s in ("waiting", "running", "done", "skipped", "failed")),
    "theme_auto",
    "theme_light",
    "theme_dark",
    *(f"tab_{s}" for s in ("overview", "deploys", "logs", "usage", "releases", "variables", "databases", "settings")),
    *(f"db_{s}" for s in ("postgres", "mongo")),
    *(f"usage_{s}" for s in ("hour", "day", "week", "requests", "latency", "bytes", "cpu", "memory")),
    *(f"usage_column_{s}" for s in ("requests", "errors", "average_ms", "slowest_ms", "bytes_in", "bytes_out")),
    *(f"usage_column_{s}" for s in ("cpu_percent", "memory_bytes")),
    *(f"admin_{s}" for s in ("nodes", "runners", "users", "apps", "audit")),
    *(f"audit_{a.value}" for a in AuditAction),
    *(f"move_{s.value}" for s in MoveState),
    *(f"change_{s.value}" for s in Change),
    *(f"stays_{r}" for r in ("NO_RUNTIME_NODE", "NODE_DISK_PRESSURE", "NODE_MEMORY_PRESSURE")),
}
"""Keys that templates put together from a state's word."""


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("key", catalogue.TEXTS)
def test_text_in_both_languages_has_the_same_placeholders(key: str) -> None:
    zh, en = catalogue.TEXTS[key]
    assert zh
    assert en
    assert _fields(zh) == _fields(en)


def test_keys_named_by_pages_are_in_the_catalogue() -> None:
    named = set(re.findall(r"\bt\('([A-Za-z_0-9]+)'[,)]", SOURCES)) | set(re.findall(r'"(done_[a-z_]+)"', SOURCES)) | BUILT
    assert named - set(catalogue.TEXTS) == set()


def test_catalogue_keys_are_all_used_by_some_page() -> None:
    unused = [k for k in catalogue.TEXTS if k not in BUILT and f"'{k}'" not in SOURCES and f'"{k}"' not in SOURCES]
    assert unused == []


def test_every_failure_of_the_users_has_a_next_step() -> None:
    assert [c for c in FailureCode if c.blame == "user" and not catalogue.next_step("en", c)] == []
