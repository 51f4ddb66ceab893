"""Whether the work dir's disk has room for a job: without it a good commit fails by nobody's fault but ours."""

from __future__ import annotations

import os
from pathlib import Path

MIN_INODES = 1_000


def is_full(workdir: Path, min_free_bytes: int) -> bool:
    """Also when it can't be looked at."""
    try:
        st = os.statvfs(workdir)
    except OSError:
        return True
    # Some file systems have no fixed number of inodes and say 0.
    return st.f_bavail * st.f_frsize < min_free_bytes or (st.f_files > 0 and st.f_favail < MIN_INODES)
