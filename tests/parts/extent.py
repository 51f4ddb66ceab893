"""How far a test goes. Every run has the short form; `make test-full` (FUNAI_TEST_FULL=1) has all of it."""

from __future__ import annotations

import os
from typing import TypeVar

import pytest

T = TypeVar("T")
FULL = os.environ.get("FUNAI_TEST_FULL", "") not in ("", "0")


def extent(short: T, full: T) -> T:
    """Sizes and counts: the same test, with less to do."""
    return full if FULL else short


only_in_full = pytest.mark.skipif(not FULL, reason="the short run has another of its kind: make test-full")
