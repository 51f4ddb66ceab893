"""A copy of an SQLite database that is in use, whole and of one moment."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

PAGES = 4096
"""Copied in one step; between steps writers go on."""


def copy_sqlite(source: Path, target: Path) -> None:
    """SQLite's online backup into a new file, mode 0600. Raises OSError."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    address = f"{source.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True)) as here, closing(sqlite3.connect(target)) as there:
            here.backup(there, pages=PAGES)
    except sqlite3.Error as e:
        raise OSError(f"{source}: {e}") from e
