"""The limit on open files, as a process that a shell starts finds it."""

from __future__ import annotations

import subprocess
import sys

SAY = (
    "import resource; from funai.base.process.openfiles import allow_open_files as a;"
    "resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}));"
    "print(a(), *resource.getrlimit(resource.RLIMIT_NOFILE))"
)


def test_allow_open_files_of_a_low_soft_limit_raises_it_to_the_hard_one() -> None:
    for soft, hard in ((256, 512), (512, 512)):
        done = subprocess.run(
            [sys.executable, "-c", SAY.format(soft=soft, hard=hard)], check=True, capture_output=True, text=True
        )
        assert done.stdout.split() == ["512", "512", "512"]
