"""A running platform for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.api.platform import Platform


@pytest.fixture
async def platform(tmp_path: Path) -> AsyncIterator[Platform]:
    """The API on SQLite, beside Deploy."""
    async with Platform(tmp_path).running() as running:
        yield running


@pytest.fixture
async def platform_on(tmp_path: Path, database_url: str) -> AsyncIterator[Platform]:
    """The API on each of the three databases."""
    async with Platform(tmp_path, database_url).running() as running:
        yield running
