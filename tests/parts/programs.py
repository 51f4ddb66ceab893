"""Programs that tests use where they are, and what a run without them leaves unproved."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scripts.ferretdb import VERSION, binary


def on_path(name: str) -> str:
    """The program; the test is skipped, with a word, where it isn't."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} isn't on PATH")
    return found


def mongod() -> Path | None:
    """MongoDB's own server, which no package of Debian's has."""
    found = shutil.which("mongod")
    return Path(found) if found else None


def report() -> list[str]:
    """For the head of a test run."""
    if mongod():
        mongo = f"mongod ({mongod()})"
    elif binary():
        mongo = f"FerretDB {VERSION}: roles are not proved"
    else:
        mongo = "none: its tests are skipped"
    traefik = shutil.which("traefik") or "none on PATH: tried by its manual alone, not by itself"
    return [f"MongoDB: {mongo}", f"Traefik: {traefik}"]
