"""Pictures of the console for the documentation: `make screenshots` runs a test of the console with a folder for them."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Page

FOLDER = os.environ.get("FUNAI_SCREENSHOTS", "")
"""Where pictures go, in a folder a language; empty: none are made."""
WIDTH, HEIGHT = 1000, 660


async def picture(page: Page, language: str, name: str) -> None:
    """The upper part of the page that is shown, as ``{language}/{name}.png``."""
    if not FOLDER:
        return
    file = Path(FOLDER) / language / f"{name}.png"
    await page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    await page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
    await page.screenshot(path=file, animations="disabled")
