"""Where a part keeps its files: short paths (unix sockets end at 107 bytes), logs that survive a failed session."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_OURS = re.compile(r"funai-.+-of(\d+)-[^-]+")


def new_workspace(name: str) -> Path:
    """A fresh folder ``/tmp/funai-<name>-of<pid>-…``, reachable by the accounts that databases run as (mode 0711)."""
    path = Path(tempfile.mkdtemp(prefix=f"funai-{name}-of{os.getpid()}-", dir="/tmp"))
    path.chmod(0o711)
    return path


def drop_workspace(path: Path, *, keep_logs_in: Path | None = None) -> None:
    """Remove the folder; with ``keep_logs_in`` its top-level ``*.log`` files are copied there first."""
    if keep_logs_in is not None:
        keep_logs_in.mkdir(parents=True, exist_ok=True)
        for log in path.glob("*.log"):
            shutil.copy(log, keep_logs_in / f"{path.name}.{log.name}")
    shutil.rmtree(path, ignore_errors=True)


def drop_orphans() -> None:
    """Remove the folders of sessions that were killed before they could."""
    for path in Path("/tmp").glob("funai-*-of*-*"):
        owner = _OURS.fullmatch(path.name)
        if owner and not Path(f"/proc/{owner[1]}").exists():
            shutil.rmtree(path, ignore_errors=True)
