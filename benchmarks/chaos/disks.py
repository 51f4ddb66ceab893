"""Small disks of their own for parts, so that filling one harms nothing else."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that accounts of databases can pass through, and that goes at the end."""
    folder = Path(tempfile.mkdtemp(prefix="funai-chaos-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def keep_logs(folder: Path, logs: Path | None) -> None:
    """Copy the logs below ``folder`` to ``logs``, where that is named."""
    if logs:
        logs.mkdir(parents=True, exist_ok=True)
        for log in [*folder.rglob("*.log"), *folder.rglob("up.out")]:
            shutil.copy(log, logs / log.name)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A tmpfs on ``folder``, which is made; False where none can be mounted."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0711", "tmpfs", str(folder)]
    mounted = subprocess.run(argv, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
