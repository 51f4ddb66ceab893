"""Removing folders that strangers filled."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from funai.base.process import proc
from funai.base.process.proc import Command

REMOVE_SECONDS = 600


async def remove_tree(folder: Path) -> None:
    """Remove it with all it holds; what can't be removed stays. Also folders nested deeper than Python's own removal goes."""
    try:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    except RecursionError:
        await proc.run(
            Command(("rm", "--recursive", "--force", "--one-file-system", "--", str(folder))), timeout=REMOVE_SECONDS
        )
