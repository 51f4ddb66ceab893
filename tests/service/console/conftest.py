"""A console for each test, and somebody who is signed in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.console.site import Browser, Site, standing


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with standing(tmp_path) as made:
        yield made


@pytest.fixture
async def ada(site: Site) -> Browser:
    """Somebody who is signed in."""
    browser = site.browser()
    await browser.sign_up("ada")
    return browser
