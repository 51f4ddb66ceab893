"""A program run as one step of the set-up: one line of progress, its output in a log. Standard library only.

The bootstrap script uses this before there is a virtualenv.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TICK_SECONDS = 0.2
QUIET_SECONDS = 10


class Steps:
    """Says and logs what the set-up does. ``log`` is appended to; its end is shown when a program fails."""

    def __init__(self, log: Path, cwd: Path | None = None) -> None:
        self.log, self.cwd = log, cwd

    def run(self, title: str, argv: Sequence[str], env: Mapping[str, str]) -> bool:
        """Run a program, showing that time passes; answers whether it succeeded."""
        started = time.monotonic()
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(argv)}\n".encode())
            log.flush()
            begin = log.tell()
            process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **env}, cwd=self.cwd
            )
            shown = 0.0
            step(f"{title} …", end="" if sys.stdout.isatty() else "\n")
            while (code := _poll(process)) is None:
                passed = time.monotonic() - started
                if sys.stdout.isatty():
                    step(f"{title} … {passed:.0f} s", end="", again=True)
                elif passed - shown >= QUIET_SECONDS:
                    shown = passed
                    step(f"{title} … {passed:.0f} s")
        step(f"{title}: {'done' if code == 0 else 'failed'} ({time.monotonic() - started:.1f} s)", again=sys.stdout.isatty())
        if code != 0:
            said = self.log.read_bytes()[begin:].decode(errors="replace").splitlines()
            sys.stderr.write("".join(f"    {line}\n" for line in said[-15:]))
        return code == 0


def _poll(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return None


def step(text: str, *, end: str = "\n", again: bool = False) -> None:
    """One line of progress; ``again`` overwrites the line before on a terminal."""
    sys.stdout.write(f"{chr(13) + chr(27) + '[K' if again else ''}▸ {text}{end}")
    sys.stdout.flush()
